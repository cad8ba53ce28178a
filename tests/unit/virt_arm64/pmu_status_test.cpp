// SPDX-License-Identifier: MIT
//
// Who learns that a counter does not count, what is lost when the host takes a counter away, and
// that no access allocates.
#include <utility>
#include <vector>

#include "bench/support/allocations.hpp"
#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using hostperf::OpenError;

struct Change {
  CounterIndex counter;
  CounterStatus status;
  std::uint64_t event;
  friend bool operator==(const Change&, const Change&) = default;
};
using Changes = std::vector<Change>;

class NotingObserver final : public CounterObserver {
 public:
  void counter_changed(CounterIndex counter, CounterStatus status, std::uint64_t event) override {
    changes.push_back({counter, status, event});
  }
  Changes changes;
};

class Arm64PmuStatus : public PmuFixture {
 protected:
  Arm64PmuStatus() { pmu->set_observer(&observer); }
  Changes take() { return std::exchange(observer.changes, {}); }

  static constexpr CounterIndex kZero = event_counter(0);
  NotingObserver observer;
};

TEST_F(Arm64PmuStatus, EveryChangeIsTold) {
  start(0, kInstRetired);
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kCounting, kInstRetired}}));
  write(reg::PMEVCNTR_EL0(0), 5);
  EXPECT_EQ(take(), Changes{}) << "nothing changed";
  write(reg::PMEVTYPER_EL0(0), kLoads);
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kCounting, kLoads}}));
  perf.refuse_open = OpenError::kNoSuchEvent;
  write(reg::PMEVTYPER_EL0(0), 0x3ff);
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kUnsupportedEvent, 0x3ff}}));
  perf.refuse_open = OpenError::kNoSpace;
  write(reg::PMEVTYPER_EL0(0), kInstRetired);
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kStarved, kInstRetired}}));
  perf.refuse_open.reset();
  write(reg::PMCNTENCLR_EL0, 1);
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kOff, kInstRetired}}));
  start(0, 0x00);
  EXPECT_EQ(take().back(), (Change{kZero, CounterStatus::kCounting, 0x00})) << "SW_INCR";
}

TEST_F(Arm64PmuStatus, CounterWithoutAHostEventStandsStillAndIsTriedAgain) {
  perf.no_room = true;
  start(0, kInstRetired);
  EXPECT_EQ(pmu->status(kZero), CounterStatus::kStarved);
  EXPECT_FALSE(pmu->has_entry_work()) << "it is not tried without end";
  perf.no_room = false;
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(pmu->status(kZero), CounterStatus::kCounting);
  count(3);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 3u);
}

TEST_F(Arm64PmuStatus, LostEventIsNoticedInTheNextTimeSlice) {
  start(0, kInstRetired);
  count(10);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 10u);
  take();
  perf.take_away(0);
  EXPECT_EQ(pmu->status(kZero), CounterStatus::kStarved);
  pmu->scheduled_in();
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kStarved, kInstRetired}}));
  pmu->before_entry();
  EXPECT_EQ(take(), (Changes{{kZero, CounterStatus::kCounting, kInstRetired}}));
  count(5);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 15u) << "the value was kept";
}

TEST_F(Arm64PmuStatus, LostEventKeepsWhatTheHostKnowsOfIt) {
  perf.knows_lost_counts = true;
  start(0, kInstRetired);
  count(10);
  perf.take_away(0);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 10u);
}

TEST_F(Arm64PmuStatus, CounterOfOneMayBeTakenFromAnother) {
  perf.room = 1;
  start(0, kInstRetired);
  take();
  perf.room = 2;
  start(1, kLoads);
  EXPECT_EQ(take(), (Changes{{event_counter(1), CounterStatus::kCounting, kLoads}}));
  perf.room = 1;
  write(reg::PMCNTENSET_EL0, kCycles);
  EXPECT_EQ(take(), (Changes{{kCycleCounter, CounterStatus::kStarved, 0x11}}));
}

TEST_F(Arm64PmuStatus, ChainedAndSoftwareCountersAreNeverLost) {
  start(0, 0x00);
  start(1, kChain);
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(pmu->status(kZero), CounterStatus::kCounting);
  EXPECT_EQ(pmu->status(event_counter(1)), CounterStatus::kCounting);
}

TEST_F(Arm64PmuStatus, CounterThatTurnsToSoftwareIncrementsIsNotLostEither) {
  start(0, kInstRetired);
  write(reg::PMEVTYPER_EL0(0), 0x00);
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(pmu->status(kZero), CounterStatus::kCounting);
  EXPECT_EQ(take().back(), (Change{kZero, CounterStatus::kCounting, 0x00}));
}

TEST_F(Arm64PmuStatus, AccessesDoNotAllocate) {
  pmu->set_observer(nullptr);
  start(0, kInstRetired);
  start(1, kChain);
  const std::uint64_t before = bench::allocations();
  for (int n = 0; n < 100; ++n) {
    write(reg::PMEVCNTR_EL0(0), 0xffff'fff0);
    count(16);
    read(reg::PMEVCNTR_EL0(1));
    write(reg::PMCNTENCLR_EL0, 1);
    write(reg::PMCNTENSET_EL0, 1);
    pmu->scheduled_in();
    pmu->before_entry();
  }
  EXPECT_EQ(bench::allocations() - before, 0u);
}

}  // namespace
}  // namespace vpmu::virt::arm64
