// SPDX-License-Identifier: MIT
#include "cli/record/record_events.hpp"

#include <gtest/gtest.h>

#include <string>

#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::test {
namespace {

using cli::record::RecordedEvents;
using cli::record::RecordOptions;
using profile::perf_data::AttrFlag;

const silicon::x86::CpuModel& model(const char* name = "icelake-server") {
  return *silicon::x86::find_cpu_model(name);
}

RecordedEvents events(const RecordOptions& options) {
  auto events = cli::record::recorded_events(options, model());
  EXPECT_TRUE(events.has_value()) << events.error().message;
  return std::move(*events);
}

std::uint64_t flags(std::initializer_list<AttrFlag> list) {
  std::uint64_t flags = 0;
  for (const AttrFlag flag : list) flags |= std::uint64_t{1} << static_cast<unsigned>(flag);
  return flags;
}

TEST(RecordedEvents, WithoutAnEventItIsPreciseCyclesByFrequency) {
  const auto all = events({});
  ASSERT_EQ(all.sampled.size(), 1u);
  EXPECT_EQ(all.sampled[0].name, "cycles:p");
  EXPECT_TRUE(all.sampled[0].precise);
  EXPECT_EQ(all.sampled[0].frequency, RecordOptions::kDefaultFrequency);
  EXPECT_EQ(all.sampled[0].attr.period, 0u);
  EXPECT_EQ(all.written[0].name, "cycles:p");
  EXPECT_EQ(all.written[0].attr.sample_period, RecordOptions::kDefaultFrequency);
  EXPECT_EQ(all.written[0].attr.flags,
            flags({AttrFlag::kFreq, AttrFlag::kPreciseIp, AttrFlag::kExcludeHost}));
}

TEST(RecordedEvents, PeriodAndFrequencyAreForThoseWithoutTheirOwn) {
  RecordOptions options;
  options.events = {"cycles,cpu/branches,period=7/", "cpu/cycles,freq=9/"};
  options.period = 1000;
  const auto all = events(options);
  ASSERT_EQ(all.sampled.size(), 3u);
  EXPECT_EQ(all.sampled[0].attr.period, 1000u);
  EXPECT_EQ(all.sampled[0].frequency, 0u);
  EXPECT_EQ(all.sampled[1].attr.period, 7u);
  EXPECT_EQ(all.sampled[2].attr.period, 0u);
  EXPECT_EQ(all.sampled[2].frequency, 9u);
  EXPECT_EQ(all.written[1].attr.sample_period, 7u);
  EXPECT_EQ(all.written[1].attr.flags & flags({AttrFlag::kFreq}), 0u);
  EXPECT_EQ(all.written[2].attr.sample_period, 9u);
  EXPECT_NE(all.written[2].attr.flags & flags({AttrFlag::kFreq}), 0u);
  options.period = 0;
  options.frequency = 50;
  EXPECT_EQ(events(options).sampled[0].frequency, 50u);
}

TEST(RecordedEvents, PerfKnowsItsOwnEventsByNumber) {
  struct Case {
    const char* text;
    std::uint32_t type;
    std::uint64_t config;
  };
  // linux/perf_event.h: PERF_TYPE_HARDWARE 0 with PERF_COUNT_HW_*, PERF_TYPE_RAW 4.
  const Case cases[] = {
      {"cycles", 0, 0},
      {"instructions:u", 0, 1},
      {"cache-references", 0, 2},
      {"cache-misses", 0, 3},
      {"branches", 0, 4},
      {"branch-misses:pp", 0, 5},
      {"cpu/event=0xc4/", 0, 4},
      {"BR_INST_RETIRED.NEAR_TAKEN", 4, 0x20c4},
      {"cpu/event=0x3c,cmask=2/", 4, 0x200003c},
  };
  for (const Case& expected : cases) {
    RecordOptions options;
    options.events = {expected.text};
    const auto attr = events(options).written[0].attr;
    EXPECT_EQ(attr.type, expected.type) << expected.text;
    EXPECT_EQ(attr.config, expected.config) << expected.text;
  }
}

TEST(RecordedEvents, ModifiersAreInTheFile) {
  RecordOptions options;
  options.period = 1;
  const auto written = [&](const char* text) {
    options.events = {text};
    return events(options).written[0].attr.flags;
  };
  EXPECT_EQ(written("cycles:u"), flags({AttrFlag::kExcludeKernel, AttrFlag::kExcludeHost}));
  EXPECT_EQ(written("cycles:k"), flags({AttrFlag::kExcludeUser, AttrFlag::kExcludeHost}));
  EXPECT_EQ(written("cycles:De"),
            flags({AttrFlag::kPinned, AttrFlag::kExclusive, AttrFlag::kExcludeHost}));
  EXPECT_EQ(written("cycles:H"), flags({AttrFlag::kExcludeGuest}));
  // Host CPUs' events see the host, too; and in the layout of a process it is all the host.
  options.on_host_cpus = true;
  EXPECT_EQ(written("cycles"), 0u);
  EXPECT_EQ(written("cycles:G"), flags({AttrFlag::kExcludeHost}));
  options.on_host_cpus = false;
  options.as_process = true;
  EXPECT_EQ(written("cycles"), 0u);
}

TEST(RecordedEvents, BranchesAreThoseAskedFor) {
  RecordOptions options;
  EXPECT_FALSE(events(options).written[0].branches);
  options.any_branches = true;
  auto all = events(options);
  EXPECT_TRUE(all.written[0].branches);
  EXPECT_EQ(all.sampled[0].attr.branch_type, hostperf::kBranchAny);
  constexpr std::uint64_t kBoth = hostperf::kBranchUser | hostperf::kBranchKernel;
  EXPECT_EQ(all.written[0].attr.branch_sample_type, hostperf::kBranchAny | kBoth);
  options.any_branches = false;
  options.branch_filter = "any_call,u";
  all = events(options);
  EXPECT_EQ(all.sampled[0].attr.branch_type, hostperf::kBranchAnyCall | hostperf::kBranchUser);
  EXPECT_EQ(all.written[0].attr.branch_sample_type,
            hostperf::kBranchAnyCall | hostperf::kBranchUser);
}

TEST(RecordedEvents, ACpuWithoutBranchRecordsSaysWhichHaveThem) {
  RecordOptions options;
  options.any_branches = true;
  for (const auto* cpu : silicon::x86::cpu_models()) {
    const auto all = cli::record::recorded_events(options, *cpu);
    EXPECT_EQ(all.has_value(), cpu->lbr.depth != 0) << cpu->name;
    if (all) continue;
    EXPECT_EQ(all.error().message,
              "-b: " + std::string{cpu->name} +
                  " records no branches; give --cpu one of haswell-server, icelake-server, "
                  "sapphire-rapids, skylake-server");
  }
}

TEST(RecordedEvents, AnArmCpuHasEventsButNoBranchRecords) {
  const auto& cpu = *silicon::arm64::find_cpu_model("neoverse-v1");
  RecordOptions options;
  options.events = {"cycles:u", "BR_RETIRED:p", "cache-misses"};
  const auto all = cli::record::recorded_events(options, cpu);
  ASSERT_TRUE(all.has_value()) << all.error().message;
  EXPECT_EQ(all->sampled[0].attr.config, 0x11u);
  EXPECT_EQ(all->written[0].attr.type, 0u);  // PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES
  EXPECT_EQ(all->written[0].attr.config, 0u);
  EXPECT_EQ(all->written[1].attr.config, 4u) << "branch-instructions";
  EXPECT_EQ(all->sampled[1].attr.config, 0x21u);
  EXPECT_EQ(all->written[2].attr.config, 3u);
  for (const bool any : {true, false}) {
    options.any_branches = any;
    options.branch_filter = any ? "" : "any_call";
    const auto refused = cli::record::recorded_events(options, cpu);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message,
              std::string{any ? "-b" : "-j"} +
                  ": neoverse-v1 records no branches; record call stacks, with -g");
  }
}

TEST(RecordedEvents, CallStacksAreInTheFileIfAskedFor) {
  RecordOptions options;
  EXPECT_FALSE(events(options).written[0].callchain);
  options.callchains = true;
  EXPECT_TRUE(events(options).written[0].callchain);
}

TEST(RecordedEvents, RealTimeIsTheHostsClock) {
  const auto event = cli::record::real_time_event(1000);
  EXPECT_EQ(event.attr.type, 1u);  // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK
  EXPECT_EQ(event.attr.config, 0u);
  EXPECT_EQ(event.attr.sample_period, 1000u);
  EXPECT_EQ(event.attr.flags, flags({AttrFlag::kFreq, AttrFlag::kExcludeHost}));
}

}  // namespace
}  // namespace vpmu::test
