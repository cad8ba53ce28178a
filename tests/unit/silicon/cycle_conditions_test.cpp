// SPDX-License-Identifier: MIT
#include "vpmu/silicon/cycle_conditions.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

constexpr RawEvent kEvent = RawEvent::kLoads;
constexpr PrivilegeSet kUserOnly{true, false}, kKernelOnly{false, true};

/// One instruction, or one delivered event; or a halt.
struct Step {
  Privilege privilege;
  std::uint64_t cycles;
  std::uint64_t occurrences;
  bool halt = false;
};
constexpr Step user(std::uint64_t cycles, std::uint64_t occurrences) {
  return {Privilege::kUser, cycles, occurrences};
}
constexpr Step kernel(std::uint64_t cycles, std::uint64_t occurrences) {
  return {Privilege::kKernel, cycles, occurrences};
}
constexpr Step kHalt{Privilege::kKernel, 0, 0, true};

/// Totals, and who watches them.
struct Watched {
  void take(const Step& step) {
    if (step.halt) return conditions.halted();
    totals.add(RawEvent::kCycles, step.privilege, step.cycles);
    totals.add(kEvent, step.privilege, step.occurrences);
    conditions.passed(step.privilege);
  }
  std::uint64_t count(RawEvent event, PrivilegeSet privileges = kAllPrivileges) {
    return totals.read(event, privileges);
  }

  RetireTotals totals;
  CycleConditions conditions{totals};
};
struct CycleConditionsTest : testing::Test, Watched {};

struct Case {
  const char* name;
  CycleCondition condition;
  std::vector<Step> steps;
  std::uint64_t user, kernel;  ///< what is counted
};

CycleCondition at_least(unsigned threshold, bool inverted = false, bool edge = false,
                        PrivilegeSet privileges = kAllPrivileges) {
  return {kEvent, static_cast<std::uint8_t>(threshold), inverted, edge, privileges};
}

// Cycles are written as digits, one each: how often the event occurs in it.
TEST(CycleConditions, CountCyclesOrEdgesAsWorkedOutByHand) {
  const Case cases[] = {
      {"0001: one cycle has one", at_least(1), {user(4, 1)}, 1, 0},
      {"0111: three have one", at_least(1), {user(4, 3)}, 3, 0},
      {"0111: none has two", at_least(2), {user(4, 3)}, 0, 0},
      {"1111 with as many as cycles", at_least(1), {user(4, 4)}, 4, 0},
      {"1122: all have one", at_least(1), {user(4, 6)}, 4, 0},
      {"1122: the last two have two", at_least(2), {user(4, 6)}, 2, 0},
      {"1122: none has three", at_least(3), {user(4, 6)}, 0, 0},
      {"9 in one cycle", at_least(9), {user(1, 9)}, 1, 0},
      {"9 in one cycle are not 10", at_least(10), {user(1, 9)}, 0, 0},
      {"255 of 255", at_least(255), {user(1, 255)}, 1, 0},
      {"0001 inverted", at_least(1, true), {user(4, 1)}, 3, 0},
      {"1122 inverted", at_least(2, true), {user(4, 6)}, 2, 0},
      {"inverted, never enough: all cycles", at_least(3, true), {user(4, 6)}, 4, 0},
      {"inverted, always enough: none", at_least(1, true), {user(4, 4)}, 0, 0},
      {"0001: one edge", at_least(1, false, true), {user(4, 1)}, 1, 0},
      {"0111: one edge", at_least(1, false, true), {user(4, 3)}, 1, 0},
      {"1111: one edge, the condition was false", at_least(1, false, true), {user(4, 4)}, 1, 0},
      {"01 01: two edges", at_least(1, false, true), {user(2, 1), user(2, 1)}, 2, 0},
      {"01 11: one edge", at_least(1, false, true), {user(2, 1), user(2, 2)}, 1, 0},
      {"01 00 01: two edges", at_least(1, false, true), {user(2, 1), user(2, 0), user(2, 1)}, 2, 0},
      {"01 00 01 inverted: it is true at once, and again",
       at_least(1, true, true),
       {user(2, 1), user(2, 0), user(2, 1)},
       2,
       0},
      {"1122: one edge to two", at_least(2, false, true), {user(4, 6)}, 1, 0},
      {"both privileges", at_least(1), {user(3, 2), kernel(2, 2)}, 2, 2},
      {"kernel only", at_least(1, false, false, kKernelOnly), {user(3, 2), kernel(2, 2)}, 0, 2},
      {"user only", at_least(1, false, false, kUserOnly), {user(3, 2), kernel(2, 2)}, 2, 0},
      {"inverted counts nothing elsewhere",
       at_least(1, true, false, kUserOnly),
       {user(3, 2), kernel(5, 0)},
       1,
       0},
      {"an edge across privileges is counted where it is",
       at_least(1, false, true),
       {user(2, 0), kernel(2, 2), user(1, 1)},
       0,
       1},
      {"false elsewhere: an edge on the way back",
       at_least(1, false, true, kUserOnly),
       {user(1, 1), kernel(1, 1), user(1, 1)},
       2,
       0},
      {"a halt is false", at_least(1, false, true), {user(1, 1), kHalt, user(1, 1)}, 2, 0},
      {"... inverted too", at_least(1, true, true), {user(1, 0), kHalt, user(1, 0)}, 2, 0},
      {"a halt has no cycles", at_least(1, true), {user(1, 0), kHalt, user(1, 0)}, 2, 0},
      {"what takes no cycle is in none", at_least(1), {user(0, 5), user(2, 1)}, 1, 0},
  };
  for (const Case& one : cases) {
    Watched run;
    const auto event = run.conditions.watch(one.condition);
    ASSERT_TRUE(event.has_value());
    for (const Step& step : one.steps) run.take(step);
    EXPECT_EQ(run.count(*event, kUserOnly), one.user) << one.name;
    EXPECT_EQ(run.count(*event, kKernelOnly), one.kernel) << one.name;
  }
}

/// The definition, a cycle at a time.
class Reference {
 public:
  explicit Reference(const CycleCondition& condition) : condition_{condition} {}

  void take(const Step& step) {
    if (step.halt) was_true_ = false;
    for (std::uint64_t cycle = 0; cycle < step.cycles; ++cycle) {
      // Occurrences are dealt out from the last cycle backwards, round and round.
      std::uint64_t here = 0;
      for (std::uint64_t n = 0; n < step.occurrences; ++n) {
        if (step.cycles - 1 - n % step.cycles == cycle) ++here;
      }
      const bool enough = here >= condition_.threshold;
      const bool is_true = condition_.privileges.contains(step.privilege) &&
                           (condition_.inverted ? !enough : enough);
      if (condition_.edge ? is_true && !was_true_ : is_true)
        ++counted_[static_cast<std::size_t>(step.privilege)];
      was_true_ = is_true;
    }
  }
  [[nodiscard]] std::uint64_t counted(Privilege privilege) const {
    return counted_[static_cast<std::size_t>(privilege)];
  }

 private:
  CycleCondition condition_;
  bool was_true_ = false;
  std::uint64_t counted_[kPrivilegeCount] = {};
};

TEST(CycleConditions, AgreesWithACycleByCycleReferenceOnRandomSequences) {
  std::mt19937 random{1};
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  for (unsigned round = 0; round < 500; ++round) {
    RetireTotals all;
    CycleConditions watched{all};
    std::vector<Reference> references;
    std::vector<RawEvent> events;
    for (std::size_t n = 0; n < kConditionSlots; ++n) {
      const PrivilegeSet privileges{!one_in(3), !one_in(3)};
      const CycleCondition condition = at_least(1 + random() % 4, one_in(2), one_in(2), privileges);
      references.emplace_back(condition);
      events.push_back(*watched.watch(condition));
    }
    for (unsigned n = 0; n < 60; ++n) {
      const Privilege privilege = one_in(2) ? Privilege::kUser : Privilege::kKernel;
      const Step step{privilege, random() % 6, random() % 10, one_in(10)};
      if (step.halt) {
        watched.halted();
      } else {
        all.add(RawEvent::kCycles, privilege, step.cycles);
        all.add(kEvent, privilege, step.occurrences);
        watched.passed(privilege);
      }
      for (Reference& reference : references)
        reference.take(step.halt ? Step{privilege, 0, 0, true} : step);
    }
    for (std::size_t n = 0; n < kConditionSlots; ++n) {
      ASSERT_EQ(all.read(events[n], kUserOnly), references[n].counted(Privilege::kUser)) << round;
      ASSERT_EQ(all.read(events[n], kKernelOnly), references[n].counted(Privilege::kKernel))
          << round;
    }
  }
}

TEST_F(CycleConditionsTest, ThereAreAsManySlotsAsCountersAndTheyAreGivenBack) {
  std::vector<RawEvent> events;
  for (std::size_t n = 0; n < kConditionSlots; ++n) {
    const auto event = conditions.watch(at_least(1));
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(*event, condition_event(n));
    events.push_back(*event);
  }
  EXPECT_FALSE(conditions.watch(at_least(1)).has_value());
  conditions.unwatch(events[3]);
  EXPECT_EQ(conditions.watch(at_least(2)), events[3]);
  for (const RawEvent event : events) conditions.unwatch(event);
  EXPECT_FALSE(conditions.any());
}

TEST_F(CycleConditionsTest, TheEventOfAConditionIsDemandedWhileItIsWatched) {
  const auto first = conditions.watch({RawEvent::kLlcMisses});
  const auto second = conditions.watch({RawEvent::kLlcMisses});
  conditions.unwatch(*first);
  EXPECT_TRUE(totals.demanded(RawEvent::kLlcMisses));
  conditions.unwatch(*second);
  EXPECT_FALSE(totals.demanded(RawEvent::kLlcMisses));
}

TEST_F(CycleConditionsTest, WhatWasBeforeIsNotCounted) {
  totals.add(RawEvent::kCycles, Privilege::kUser, 100);
  totals.add(kEvent, Privilege::kUser, 100);
  const auto first = conditions.watch(at_least(1));
  take(user(2, 2));
  const auto second = conditions.watch(at_least(1));
  take(user(3, 3));
  EXPECT_EQ(count(*first), 5U);
  EXPECT_EQ(count(*second), 3U);
}

TEST_F(CycleConditionsTest, ASlotUsedAgainCountsOnAndItsConditionWasFalse) {
  const auto first = conditions.watch(at_least(1, false, true));
  take(user(1, 1));
  conditions.unwatch(*first);
  take(user(1, 1));
  const auto second = conditions.watch(at_least(1, false, true));
  ASSERT_EQ(first, second);
  const std::uint64_t before = count(*second);
  take(user(1, 1));
  EXPECT_EQ(count(*second) - before, 1U);
}

TEST_F(CycleConditionsTest, ARestoredStateGoesOnAsIfNothingHadHappened) {
  const auto edges = conditions.watch(at_least(1, false, true));
  const auto cycles = conditions.watch({RawEvent::kStores, 1, true});
  take(user(1, 1));

  RetireTotals other_totals = totals;
  other_totals.release(kEvent);
  other_totals.release(RawEvent::kStores);
  CycleConditions other{other_totals};
  other.watch({RawEvent::kLlcMisses});
  ASSERT_TRUE(other.restore(conditions.save()).has_value());
  EXPECT_FALSE(other_totals.demanded(RawEvent::kLlcMisses));
  EXPECT_TRUE(other_totals.demanded(RawEvent::kStores));

  other_totals.add(RawEvent::kCycles, Privilege::kUser, 3);
  other_totals.add(kEvent, Privilege::kUser, 2);
  other.passed(Privilege::kUser);
  take(user(3, 2));
  for (const RawEvent event : {*edges, *cycles})
    EXPECT_EQ(other_totals.read(event, kAllPrivileges), count(event));
  EXPECT_EQ(count(*edges), 2U);   // 1 | 011
  EXPECT_EQ(count(*cycles), 4U);  // no stores at all
  EXPECT_EQ(other.save(), conditions.save());
}

TEST_F(CycleConditionsTest, AStateThatCannotBeIsRefused) {
  conditions.watch(at_least(1));
  const CycleConditions::State good = conditions.save();
  CycleConditions::State bad = good;
  bad.taken = 1U << kConditionSlots;
  EXPECT_FALSE(conditions.restore(bad).has_value());
  bad = good;
  bad.slots[0].condition.threshold = 0;
  EXPECT_FALSE(conditions.restore(bad).has_value());
  bad = good;
  bad.slots[0].condition.event = RawEvent::kCondition0;
  EXPECT_FALSE(conditions.restore(bad).has_value());
  EXPECT_EQ(conditions.save(), good);
}

}  // namespace
}  // namespace vpmu::silicon
