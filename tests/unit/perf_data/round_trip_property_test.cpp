// SPDX-License-Identifier: MIT
//
// Any samples of any events, written and read.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "profile/perf_data/branch_flags.hpp"
#include "recorded.hpp"

namespace vpmu::profile::perf_data {
namespace {

using hostperf::Sample;
using hostperf::SampledMode;
using Branch = silicon::x86::LbrStack::Decoded;

/// A sample with what it points to.
struct Given {
  Sample sample;
  std::vector<std::uint64_t> callchain;
  std::vector<Branch> branches;
};

std::uint64_t any_word() {
  return *rc::gen::oneOf(rc::gen::arbitrary<std::uint64_t>(),
                         rc::gen::element<std::uint64_t>(0, 1, ~std::uint64_t{0}));
}

Branch any_branch() {
  Branch branch{.from = any_word(), .to = any_word()};
  branch.mispredicted = *rc::gen::arbitrary<bool>();
  branch.in_transaction = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) branch.cycles = *rc::gen::arbitrary<std::uint16_t>();
  if (*rc::gen::arbitrary<bool>()) branch.type = silicon::x86::BranchType::kReturn;
  return branch;
}

Given any_sample(const WriterConfig& config, std::uint64_t& time) {
  Given given;
  time += *rc::gen::inRange<std::uint64_t>(0, 3);
  Sample& sample = given.sample;
  sample.event =
      *rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(config.events.size()));
  sample.vcpu = *rc::gen::inRange<std::uint32_t>(0, config.vcpus);
  sample.host_cpu = hostperf::HostCpu{*rc::gen::inRange(0, 8)};
  sample.time_ns = time;
  sample.mode = *rc::gen::element(SampledMode::kGuestKernel, SampledMode::kGuestUser,
                                  SampledMode::kHostUser, SampledMode::kHostKernel);
  sample.ip = any_word();
  sample.exact = *rc::gen::arbitrary<bool>();
  sample.period = any_word();
  for (int n = *rc::gen::inRange(0, 9); n > 0; --n) given.callchain.push_back(any_word());
  for (int n = *rc::gen::inRange(0, 33); n > 0; --n) given.branches.push_back(any_branch());
  return given;
}

WriterConfig any_config() {
  WriterConfig config = small_config(*rc::gen::element(Layout::kGuest, Layout::kProcess));
  config.events.clear();
  for (int n = *rc::gen::inRange(1, 5); n > 0; --n) {
    config.events.push_back({.name = "event " + std::to_string(n),
                             .attr = {.config = static_cast<std::uint64_t>(n)},
                             .callchain = *rc::gen::arbitrary<bool>(),
                             .branches = *rc::gen::arbitrary<bool>()});
  }
  config.vcpus = *rc::gen::inRange(1u, 6u);
  config.vm_pid = *rc::gen::inRange(1u, 100u);
  return config;
}

void check_sample(const Given& given, const ReadSample& read, const WriterConfig& config) {
  const Sample& sample = given.sample;
  RC_ASSERT(read.event == sample.event);
  RC_ASSERT(read.task.vcpu == sample.vcpu);
  RC_ASSERT(read.cpu == static_cast<std::uint32_t>(sample.host_cpu));
  RC_ASSERT(read.time == sample.time_ns);
  RC_ASSERT(read.ip == sample.ip);
  RC_ASSERT(read.exact == sample.exact);
  RC_ASSERT(read.period == sample.period);
  const WrittenEvent& event = config.events[sample.event];
  std::vector<std::uint64_t> frames = read.callchain;
  if (!frames.empty()) frames.erase(frames.begin());
  RC_ASSERT(frames == (event.callchain ? given.callchain : std::vector<std::uint64_t>{}));
  RC_ASSERT(read.branches.size() == (event.branches ? given.branches.size() : 0));
  for (std::size_t n = 0; n < read.branches.size(); ++n) {
    RC_ASSERT(read.branches[n].from == given.branches[n].from);
    RC_ASSERT(read.branches[n].to == given.branches[n].to);
    RC_ASSERT(read.branches[n].flags == branch_flags(given.branches[n]));
  }
}

TEST(RoundTripProperty, GivesBackWhatWasWritten) {
  const TestPath path;
  EXPECT_TRUE(rc::check([&path] {
    const WriterConfig config = any_config();
    std::uint64_t time = 1;
    std::vector<Given> samples;
    for (int n = *rc::gen::inRange(0, 40); n > 0; --n) samples.push_back(any_sample(config, time));
    auto writer = Writer::create(path.str(), config);
    RC_ASSERT(writer.has_value());
    for (Given& given : samples) {
      given.sample.callchain = given.callchain;
      given.sample.branches = given.branches;
      (*writer)->on_sample(given.sample);
    }
    RC_ASSERT((*writer)->finish().has_value());
    RC_ASSERT((*writer)->bytes() <= content_of(path.str()).size());

    const Everything all = read_everything(path.str());
    RC_ASSERT(all.error.empty());
    RC_ASSERT(all.samples.size() == samples.size());
    for (std::size_t n = 0; n < samples.size(); ++n) {
      check_sample(samples[n], all.samples[n], config);
    }
  }));
}

}  // namespace
}  // namespace vpmu::profile::perf_data
