// SPDX-License-Identifier: MIT
#include "hostperf/counter_budget.hpp"

#include <gtest/gtest.h>

namespace vpmu::hostperf {
namespace {

using silicon::RawEvent;
using silicon::x86::CountedOn;
using silicon::x86::EventRow;
using silicon::x86::kNoFixedCounter;
using silicon::x86::PmuModel;

constexpr PmuModel kTwoAndOne{.version = 2, .gp_counters = 2, .fixed_counters = 1};
constexpr EventRow kGeneral{
    "general", {0xc4, 0}, RawEvent::kBranches, kNoFixedCounter, CountedOn::kAnyCounter, ""};
constexpr EventRow kEither{"either", {0xc0, 0}, RawEvent::kInstructions, 0, CountedOn::kAnyCounter,
                           ""};
constexpr EventRow kFixed{"fixed", {0x00, 1}, RawEvent::kInstructions, 0, CountedOn::kFixedCounter,
                          ""};
constexpr EventRow kAbsentFixed{"absent", {0x00, 2}, RawEvent::kCycles, 1, CountedOn::kFixedCounter,
                                ""};
constexpr EventRow kAbsentOrGeneral{"absent or general",    {0x3c, 0}, RawEvent::kCycles, 1,
                                    CountedOn::kAnyCounter, ""};

TEST(CounterBudget, EndsWithTheGeneralPurposeCounters) {
  CounterBudget budget{kTwoAndOne};
  EXPECT_TRUE(budget.add(kGeneral));
  EXPECT_TRUE(budget.add(kGeneral));
  EXPECT_FALSE(budget.add(kGeneral));
  budget.remove(kGeneral);
  EXPECT_TRUE(budget.add(kGeneral));
}

TEST(CounterBudget, MovesAnEventToItsFixedCounterToMakeRoom) {
  CounterBudget budget{kTwoAndOne};
  EXPECT_TRUE(budget.add(kEither));
  EXPECT_TRUE(budget.add(kGeneral));
  EXPECT_TRUE(budget.add(kGeneral));
  EXPECT_FALSE(budget.add(kEither));
  EXPECT_FALSE(budget.add(kFixed));
}

TEST(CounterBudget, MovesAnEventOffItsFixedCounterToMakeRoom) {
  CounterBudget budget{kTwoAndOne};
  EXPECT_TRUE(budget.add(kEither));
  EXPECT_TRUE(budget.add(kFixed));
  EXPECT_TRUE(budget.add(kGeneral));
  EXPECT_FALSE(budget.add(kGeneral));
  budget.remove(kFixed);
  EXPECT_TRUE(budget.add(kGeneral));
}

TEST(CounterBudget, AFixedCounterCountsOneEvent) {
  CounterBudget budget{kTwoAndOne};
  EXPECT_TRUE(budget.add(kFixed));
  EXPECT_FALSE(budget.add(kFixed));
}

TEST(CounterBudget, FixedCountersThatDoNotExistCountNothing) {
  CounterBudget budget{kTwoAndOne};
  EXPECT_FALSE(budget.add(kAbsentFixed));
  EXPECT_TRUE(budget.add(kAbsentOrGeneral));
  EXPECT_TRUE(budget.add(kAbsentOrGeneral));
  EXPECT_FALSE(budget.add(kAbsentOrGeneral));
}

}  // namespace
}  // namespace vpmu::hostperf
