// SPDX-License-Identifier: MIT
#include "hostperf/counter_budget.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::hostperf {
namespace {

using silicon::RawEvent;
using silicon::x86::CountedOn;
using silicon::x86::EventRow;
using silicon::x86::kNoFixedCounter;
using silicon::x86::PmuModel;

constexpr PmuModel kTwoAndOne{.version = 2, .gp_counters = 2, .fixed_counters = 1};

constexpr EventRow row(std::int8_t fixed, CountedOn counted_on, std::uint8_t counters = 0xff) {
  return {"event", {}, RawEvent::kBranches, fixed, counted_on, "", "", counters};
}
constexpr CounterSet on_two_and_one(const EventRow& row, bool general_only = false) {
  return counters_for(row, kTwoAndOne, general_only);
}

constexpr CounterSet kGeneral = on_two_and_one(row(kNoFixedCounter, CountedOn::kAnyCounter));
constexpr CounterSet kEither = on_two_and_one(row(0, CountedOn::kAnyCounter));
constexpr CounterSet kFixed = on_two_and_one(row(0, CountedOn::kFixedCounter));
constexpr CounterSet kSecondOnly =
    on_two_and_one(row(kNoFixedCounter, CountedOn::kAnyCounter, 0b10));

TEST(CounterBudget, EventsNameTheCountersThatThePmuHas) {
  EXPECT_EQ(kGeneral, 0x003);
  EXPECT_EQ(kEither, 0x103);
  EXPECT_EQ(kFixed, 0x100);
  EXPECT_EQ(kSecondOnly, 0x002);
  EXPECT_EQ(on_two_and_one(row(1, CountedOn::kFixedCounter)), 0) << "no fixed counter 1";
  EXPECT_EQ(on_two_and_one(row(1, CountedOn::kAnyCounter)), 0x003);
  EXPECT_EQ(on_two_and_one(row(kNoFixedCounter, CountedOn::kAnyCounter, 0b100)), 0);
  EXPECT_EQ(on_two_and_one(row(0, CountedOn::kAnyCounter), true), 0x003);
  EXPECT_EQ(on_two_and_one(row(0, CountedOn::kFixedCounter), true), 0);
}

TEST(CounterBudget, EndsWithTheGeneralPurposeCounters) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_FALSE(budget.add(kGeneral, false));
  budget.remove(kGeneral);
  EXPECT_TRUE(budget.add(kGeneral, false));
}

TEST(CounterBudget, MovesAnEventToItsFixedCounterToMakeRoom) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kEither, false));
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_FALSE(budget.add(kEither, false));
  EXPECT_FALSE(budget.add(kFixed, false));
}

TEST(CounterBudget, MovesAnEventOffItsFixedCounterToMakeRoom) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kEither, false));
  EXPECT_TRUE(budget.add(kFixed, false));
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_FALSE(budget.add(kGeneral, false));
  budget.remove(kFixed);
  EXPECT_TRUE(budget.add(kGeneral, false));
}

TEST(CounterBudget, MovesEventsAlongAChainToMakeRoom) {
  // Counters 0 to 3; each event can also use the next lower counter.
  CounterBudget budget;
  EXPECT_TRUE(budget.add(0b0011, false));
  EXPECT_TRUE(budget.add(0b0110, false));
  EXPECT_TRUE(budget.add(0b1100, false));
  EXPECT_TRUE(budget.add(0b1000, false));
  EXPECT_FALSE(budget.add(0b1000, false));
  EXPECT_FALSE(budget.add(0b0001, false));
}

TEST(CounterBudget, AFixedCounterCountsOneEvent) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kFixed, false));
  EXPECT_FALSE(budget.add(kFixed, false));
}

TEST(CounterBudget, EventsWithoutCountersNeverFit) {
  CounterBudget budget;
  EXPECT_FALSE(budget.add(0, false));
}

TEST(CounterBudget, ExclusiveEventsAreAlone) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kGeneral, true));
  EXPECT_FALSE(budget.add(kGeneral, false));
  EXPECT_FALSE(budget.add(kFixed, true));
  budget.remove(kGeneral);
  EXPECT_TRUE(budget.add(kFixed, false));
  EXPECT_FALSE(budget.add(kGeneral, true));
  EXPECT_TRUE(budget.add(kGeneral, false));
}

// ---- Last branch records ------------------------------------------------------------------------

constexpr LbrUse kGuest{.kind = LbrUse::Kind::kGuest};
constexpr LbrUse kAllBranches{.kind = LbrUse::Kind::kHost, .filter = 0};
constexpr LbrUse kUserBranches{.kind = LbrUse::Kind::kHost, .filter = 1};

TEST(CounterBudget, LastBranchRecordsAreSharedByThoseThatWantTheSameBranches) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kGeneral, false, kAllBranches));
  EXPECT_FALSE(budget.add(kFixed, false, kUserBranches));
  EXPECT_FALSE(budget.add(kGuestLbrCounter, false, kGuest));
  EXPECT_TRUE(budget.add(kGeneral, false, kAllBranches));
  budget.remove_lbr();
  budget.remove(kGeneral);
  EXPECT_FALSE(budget.add(kFixed, false, kUserBranches)) << "one is left";
  budget.remove_lbr();
  budget.remove(kGeneral);
  EXPECT_FALSE(budget.lbr_used());
  EXPECT_TRUE(budget.add(kFixed, false, kUserBranches));
}

TEST(CounterBudget, AGuestSharesLastBranchRecordsWithNobody) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kGuestLbrCounter, false, kGuest));
  EXPECT_FALSE(budget.add(kGeneral, false, kAllBranches));
  EXPECT_FALSE(budget.add(kGuestLbrCounter, false, kGuest));
  EXPECT_TRUE(budget.add(kGeneral, false));
  EXPECT_FALSE(budget.add(kGeneral, true)) << "its place is one on the PMU";
  budget.remove_lbr();
  budget.remove(kGuestLbrCounter);
  EXPECT_TRUE(budget.add(kGeneral, false, kAllBranches));
}

TEST(CounterBudget, LastBranchRecordsAreTakenWithACounterOrNotAtAll) {
  CounterBudget budget;
  EXPECT_TRUE(budget.add(kFixed, false));
  EXPECT_FALSE(budget.add(kFixed, false, kAllBranches));
  EXPECT_FALSE(budget.lbr_used());
  EXPECT_TRUE(budget.add(kGeneral, false, kUserBranches));
  EXPECT_FALSE(budget.add(kGeneral, false, kAllBranches));
  EXPECT_TRUE(budget.add(kGeneral, false)) << "its counter is free";
}

TEST(CounterBudget, LastBranchRecordsThatAreTracedFitNoEvent) {
  CounterBudget budget;
  budget.without_lbr();
  EXPECT_FALSE(budget.add(kGeneral, false, kAllBranches));
  EXPECT_FALSE(budget.add(kGuestLbrCounter, false, kGuest));
  EXPECT_TRUE(budget.add(kGeneral, true));
}

/// Tries every assignment: whether each of `events` can have a counter of its own.
bool can_be_assigned(const std::vector<CounterSet>& events, std::size_t first = 0,
                     unsigned used = 0) {
  if (first == events.size()) return true;
  for (unsigned left = events[first] & ~used; left != 0; left &= left - 1) {
    if (can_be_assigned(events, first + 1, used | (left & -left))) return true;
  }
  return false;
}

TEST(CounterBudget, RefusesExactlyWhatNoAssignmentExistsFor) {
  std::mt19937 random{1};
  for (int round = 0; round < 2'000; ++round) {
    CounterBudget budget;
    std::vector<CounterSet> events;
    const unsigned counters = 1 + random() % 6;
    for (int step = 0; step < 40; ++step) {
      if (!events.empty() && random() % 3 == 0) {
        const std::size_t gone = random() % events.size();
        budget.remove(events[gone]);
        events.erase(events.begin() + static_cast<std::ptrdiff_t>(gone));
        continue;
      }
      const auto set = static_cast<CounterSet>(random() % (1u << counters));
      events.push_back(set);
      const bool fits = can_be_assigned(events);
      ASSERT_EQ(budget.add(set, false), fits) << "round " << round << " step " << step;
      if (!fits) events.pop_back();
    }
  }
}

}  // namespace
}  // namespace vpmu::hostperf
