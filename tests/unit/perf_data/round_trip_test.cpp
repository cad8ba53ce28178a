// SPDX-License-Identifier: MIT
//
// What the writer was given is what the reader says.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

using hostperf::Sample;
using hostperf::SampledMode;
using Branch = silicon::x86::LbrStack::Decoded;
using silicon::x86::BranchType;

/// Kernel, then user; the second is of vCPU 1.
struct TwoSamples {
  std::array<std::uint64_t, 3> kernel_chain{0x101004, 0x101020, 0x10104d};
  std::array<std::uint64_t, 2> user_chain{0x102004, 0x102020};
  std::array<Branch, 2> branches{
      Branch{.from = 0x10101e, .to = 0x101000, .cycles = 7, .type = BranchType::kDirectCall},
      Branch{.from = 0x10104b, .to = 0x101015, .mispredicted = true}};
  std::array<Sample, 2> samples{Sample{.vcpu = 0,
                                       .host_cpu = hostperf::HostCpu{0},
                                       .time_ns = 1000,
                                       .mode = SampledMode::kGuestKernel,
                                       .ip = kernel_chain[0],
                                       .exact = true,
                                       .period = 1000,
                                       .callchain = kernel_chain,
                                       .branches = branches},
                                Sample{.vcpu = 1,
                                       .host_cpu = hostperf::HostCpu{1},
                                       .time_ns = 2000,
                                       .mode = SampledMode::kGuestUser,
                                       .ip = user_chain[0],
                                       .period = 900,
                                       .callchain = user_chain,
                                       .branches = {}}};
};

Everything recorded(const std::string& path, const WriterConfig& config) {
  const TwoSamples two;
  auto writer = Writer::create(path, config);
  EXPECT_TRUE(writer) << writer.error().message;
  if (!writer) return {};
  for (const Sample& sample : two.samples) (*writer)->on_sample(sample);
  const auto finished = (*writer)->finish();
  EXPECT_TRUE(finished) << finished.error().message;
  return read_everything(path);
}

WriterConfig two_vcpus(Layout layout) {
  WriterConfig config = small_config(layout);
  config.vcpus = 2;
  config.host_cpus = 2;
  return config;
}

TEST(RoundTrip, KeepsWhatASampleSays) {
  for (const Layout layout : {Layout::kGuest, Layout::kProcess}) {
    const TestPath path;
    const Everything all = recorded(path.str(), two_vcpus(layout));
    ASSERT_EQ(all.error, "");
    ASSERT_EQ(all.samples.size(), 2u);
    const ReadSample& first = all.samples[0];
    EXPECT_EQ(first.event, 0u);
    EXPECT_EQ(first.ip, 0x101004u);
    EXPECT_EQ(first.time, 1000u);
    EXPECT_EQ(first.cpu, 0u);
    EXPECT_EQ(first.period, 1000u);
    EXPECT_TRUE(first.exact);
    EXPECT_EQ(first.task.vcpu, 0u);
    const ReadSample& second = all.samples[1];
    EXPECT_EQ(second.cpu, 1u);
    EXPECT_EQ(second.period, 900u);
    EXPECT_FALSE(second.exact);
    EXPECT_EQ(second.task.vcpu, 1u);
    EXPECT_TRUE(second.branches.empty());
  }
}

TEST(RoundTrip, MarksCallChainsByMode) {
  const TestPath path;
  const Everything all = recorded(path.str(), two_vcpus(Layout::kGuest));
  ASSERT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.samples[0].callchain,
            (std::vector<std::uint64_t>{kContextKernel, 0x101004, 0x101020, 0x10104d}));
  EXPECT_EQ(all.samples[1].callchain,
            (std::vector<std::uint64_t>{kContextUser, 0x102004, 0x102020}));
}

TEST(RoundTrip, KeepsBranchesWithWhatTheirRecordsSay) {
  const TestPath path;
  const Everything all = recorded(path.str(), two_vcpus(Layout::kGuest));
  ASSERT_EQ(all.samples.size(), 2u);
  ASSERT_EQ(all.samples[0].branches.size(), 2u);
  const BranchEntry& newest = all.samples[0].branches[0];
  EXPECT_EQ(newest.from, 0x10101eu);
  EXPECT_EQ(newest.to, 0x101000u);
  EXPECT_EQ(newest.flags, 1u << 1 | 7u << 4 | 4u << 20);  // predicted, cycles, a call
  EXPECT_EQ(all.samples[0].branches[1].flags, 1u);        // mispredicted
}

TEST(RoundTrip, GuestsAreMachinesOfTheirOwn) {
  const TestPath path;
  WriterConfig config = two_vcpus(Layout::kGuest);
  config.vm_pid = 77;
  const Everything all = recorded(path.str(), config);
  ASSERT_EQ(all.samples.size(), 2u);
  EXPECT_EQ(all.samples[0].task.mode, CpuMode::kGuestKernel);
  EXPECT_EQ(all.samples[1].task.mode, CpuMode::kGuestUser);
  for (const ReadSample& sample : all.samples) EXPECT_EQ(sample.task.machine_pid, 77u);
  bool in_kernel = false, in_user = false;
  for (const ReadMapping& mapping : all.mappings) {
    if (mapping.file != "/guests/sort.elf") continue;
    EXPECT_EQ(mapping.start, 0x101000u);
    EXPECT_EQ(mapping.length, 0x2000u);
    EXPECT_EQ(mapping.file_offset, 0x1000u);
    EXPECT_EQ(mapping.build_id, config.mappings[0].build_id);
    EXPECT_TRUE(mapping.executable);
    EXPECT_EQ(mapping.task.machine_pid, 77u);
    in_kernel = in_kernel || mapping.task.mode == CpuMode::kGuestKernel;
    in_user = in_user || mapping.task.mode == CpuMode::kGuestUser;
  }
  EXPECT_TRUE(in_kernel && in_user);
}

TEST(RoundTrip, AsAProcessASampleIsOfWhoHasTheImageMapped) {
  const TestPath path;
  const Everything all = recorded(path.str(), two_vcpus(Layout::kProcess));
  const auto image =
      std::find_if(all.mappings.begin(), all.mappings.end(),
                   [](const ReadMapping& mapping) { return mapping.file == "/guests/sort.elf"; });
  ASSERT_NE(image, all.mappings.end());
  EXPECT_EQ(image->task.mode, CpuMode::kUser);
  EXPECT_EQ(image->build_id.size(), 20u);
  ASSERT_EQ(all.samples.size(), 2u);
  for (const ReadSample& sample : all.samples) {
    EXPECT_EQ(sample.task.mode, CpuMode::kUser);
    EXPECT_EQ(sample.task.machine_pid, 0u);
    EXPECT_EQ(sample.task.pid, image->task.pid);
    EXPECT_EQ(sample.callchain.front(), kContextUser);
  }
}

TEST(RoundTrip, KeepsWhatIsKnownOfTheRecording) {
  const TestPath path;
  const Everything all = recorded(path.str(), small_config(Layout::kGuest));
  EXPECT_TRUE(all.info.complete);
  EXPECT_EQ(all.info.arch, "x86_64");
  EXPECT_EQ(all.info.cpu_description, "a CPU");
  EXPECT_EQ(all.info.command_line, (std::vector<std::string>{"vpmu", "record", "sort.elf"}));
  ASSERT_EQ(all.info.events.size(), 1u);
  EXPECT_EQ(all.info.events[0].name, "cycles");
  EXPECT_EQ(all.info.events[0].attr.sample_period, 1000u);
}

TEST(RoundTrip, AnArmGuestSaysWhatItIs) {
  const TestPath path;
  auto config = small_config(Layout::kGuest);
  config.arch = "aarch64";
  config.cpu_id = "0x00000000410fd0c0";
  const Everything all = recorded(path.str(), config);
  EXPECT_EQ(all.info.arch, "aarch64");
  EXPECT_EQ(all.info.cpu_id, "0x00000000410fd0c0");
}

}  // namespace
}  // namespace vpmu::profile::perf_data
