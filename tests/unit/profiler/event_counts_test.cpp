// SPDX-License-Identifier: MIT
#include "machine/profiler/event_counts.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::test {
namespace {

using machine::CountedEvent;
using machine::CountsReading;
using machine::EventCounts;

constexpr std::uint64_t kCycles = 0x003c;
constexpr std::uint64_t kInstructions = 0x00c0;
constexpr std::uint64_t kBranches = 0x00c4;

class Intervals final : public machine::CountsObserver {
 public:
  std::vector<CountsReading> readings;
  void on_interval(const CountsReading& reading) override { readings.push_back(reading); }
};

class EventCountsTest : public MachineTest {
 protected:
  std::unique_ptr<EventCounts> counts;

  ~EventCountsTest() override { counts.reset(); }

  void attach(const std::vector<CountedEvent>& events, std::uint64_t interval = 0,
              machine::CountsObserver* observer = nullptr) {
    auto attached = EventCounts::attach(*machine, events, interval, observer);
    ASSERT_TRUE(attached.has_value()) << attached.error().message;
    counts = std::move(*attached);
  }
};

TEST_F(EventCountsTest, CountsFromOutsideWhatTheGuestRetires) {
  load(forever());
  attach({{"instructions", {.config = kInstructions}},
          {"user", {.config = kInstructions, .exclude_kernel = true}},
          {"branches", {.config = kBranches}}});
  machine->run({.instructions = 12'345});
  const CountsReading reading = counts->read();
  EXPECT_EQ(reading.time, machine->now());
  ASSERT_EQ(reading.counts.size(), 3u);
  ASSERT_EQ(reading.counts[0].size(), 1u);
  EXPECT_EQ(reading.counts[0][0].value, 12'345u);
  EXPECT_EQ(reading.counts[1][0].value, 0u);
  EXPECT_EQ(reading.counts[2][0].value, 12'345u);
  EXPECT_FALSE(reading.counts[0][0].error);
}

TEST_F(EventCountsTest, CountsEachVcpuForItself) {
  config.vcpus = 3;
  load(forever());  // the other two wait to be started
  attach({{"instructions", {.config = kInstructions}}});
  machine->run({.instructions = 1'000});
  const CountsReading reading = counts->read();
  ASSERT_EQ(reading.counts[0].size(), 3u);
  EXPECT_EQ(reading.counts[0][0].value, 1'000u);
  EXPECT_EQ(reading.counts[0][1].value, 0u);
  EXPECT_EQ(reading.counts[0][1].time_enabled_ns, 0u);
}

TEST_F(EventCountsTest, BeginsWhereItIsAttached) {
  load(forever());
  machine->run({.instructions = 1'000});
  attach({{"instructions", {.config = kInstructions}}});
  machine->run({.instructions = 1'500});
  EXPECT_EQ(counts->read().counts[0][0].value, 500u);
}

TEST_F(EventCountsTest, IntervalsEndAtTheFirstInstructionBehindThem) {
  load(forever());
  Intervals intervals;
  attach({{"cycles", {.config = kCycles}}}, 1'000, &intervals);
  const std::uint64_t began = machine->now();
  machine->run({.instructions = 100'000});
  ASSERT_EQ(intervals.readings.size(), (machine->now() - began) / 1'000);
  for (std::size_t n = 0; n < intervals.readings.size(); ++n) {
    const CountsReading& reading = intervals.readings[n];
    EXPECT_GE(reading.time - began, (n + 1) * 1'000);
    EXPECT_LT(reading.time - began, (n + 1) * 1'000 + 20);
    EXPECT_EQ(reading.counts[0][0].value, reading.time - began);
  }
}

TEST_F(EventCountsTest, IntervalsShorterThanAnInstructionAreOne) {
  load(Code(100, 0x90) + debug_exit(0));
  Intervals intervals;
  attach({{"cycles", {.config = kCycles}}}, 1, &intervals);
  machine->run({});
  ASSERT_GT(intervals.readings.size(), 50u);
  for (std::size_t n = 1; n < intervals.readings.size(); ++n) {
    EXPECT_GT(intervals.readings[n].time, intervals.readings[n - 1].time);
  }
}

TEST_F(EventCountsTest, AGuestThatSleepsForEverEndsAsIfNobodyLooked) {
  const auto end = [this](std::uint64_t interval) {
    load(Code(100, 0x90) + halt());
    Intervals intervals;
    attach({{"cycles", {.config = kCycles}}}, interval, &intervals);
    const machine::Outcome outcome = machine->run({});
    EXPECT_EQ(outcome.reason, machine::Outcome::Reason::kHalted);
    counts.reset();
    return machine->now();
  };
  EXPECT_EQ(end(10), end(0));
}

TEST_F(EventCountsTest, AGuestThatRecordsBranchesEntersNoMoreOftenThanIfNobodyLooked) {
  const auto pmu = virt::x86::restrict_pmu(*config.model, {.lbr = true});
  ASSERT_TRUE(pmu.has_value());
  config.pmu = *pmu;
  constexpr std::uint32_t kTos = 0x1c9, kDebugControl = 0x1d9;
  const Code guest = wrmsr(kDebugControl, 1) + rdmsr(kTos) + forever();
  const auto state = [&](bool looked_at) {
    counts.reset();
    load(guest);
    Intervals intervals;
    if (looked_at) attach({{"cycles", {.config = kCycles}}}, 1'000, &intervals);
    machine->run({.instructions = 100'000});
    EXPECT_EQ(intervals.readings.size() > 50, looked_at);
    counts.reset();
    return machine->save();
  };
  const machine::MachineState alone = state(false);
  EXPECT_GT(alone.vcpus[0].lbr.statistics.entries_passed_through, 0u);
  EXPECT_TRUE(state(true) == alone);
}

TEST_F(EventCountsTest, SharesCountersWhenThereAreNotEnough) {
  load(forever());
  attach(std::vector<CountedEvent>(12, {"branches", {.config = kBranches}}));
  machine->run({.instructions = 100'000'000});
  for (const auto& of_event : counts->read().counts) {
    EXPECT_GT(of_event[0].time_running_ns, 0u);
    EXPECT_LT(of_event[0].time_running_ns, of_event[0].time_enabled_ns);
  }
}

TEST_F(EventCountsTest, PinnedEventsThatDoNotFitAreInError) {
  load(forever());
  attach(std::vector<CountedEvent>(9, {"branches", {.config = kBranches, .pinned = true}}));
  machine->run({.instructions = 1'000});
  const CountsReading reading = counts->read();
  for (std::size_t n = 0; n < 9; ++n) EXPECT_EQ(reading.counts[n][0].error, n == 8) << n;
}

TEST_F(EventCountsTest, ErrorsNameTheEventAndWhatToDo) {
  load(forever());
  const auto attached = EventCounts::attach(*machine, {{"no such thing", {.config = 0xff}}});
  ASSERT_FALSE(attached.has_value());
  EXPECT_EQ(attached.error().message,
            "event 'no such thing': icelake-server cannot count it; `vpmu cpu show icelake-server "
            "--events` lists what it can");
  const auto many = EventCounts::attach(
      *machine, std::vector<CountedEvent>(17, {"branches", {.config = kBranches}}));
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().message, "17 events: give at most 16");
}

TEST_F(EventCountsTest, GivesItsCountersBack) {
  load(forever());
  for (int n = 0; n < 3; ++n) {
    attach(std::vector<CountedEvent>(8, {"branches", {.config = kBranches, .pinned = true}}));
    EXPECT_FALSE(counts->read().counts[7][0].error);
    counts.reset();
  }
}

}  // namespace
}  // namespace vpmu::test
