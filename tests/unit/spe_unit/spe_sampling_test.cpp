// SPDX-License-Identifier: MIT
//
// Which operations are sampled: intervals, random bytes, collisions.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeSamplingTest : public SpeUnitTest {
 protected:
  using Numbers = std::vector<std::uint64_t>;

  /// Of the next operations, counted from 1, those that are sampled, in single steps.
  static Numbers sampled(SpeUnit& unit, std::uint64_t operations) {
    Numbers numbers;
    for (std::uint64_t number = 1; number <= operations; ++number) {
      if (unit.until_sample() != 1) {
        unit.pass(1);
        continue;
      }
      unit.sample({});
      numbers.push_back(number);
    }
    return numbers;
  }
  /// The same, in strides.
  static Numbers strides(SpeUnit& unit, std::size_t samples) {
    Numbers numbers;
    std::uint64_t number = 0;
    while (numbers.size() < samples) {
      const std::uint64_t next = unit.until_sample();
      unit.pass(next - 1);
      unit.sample({});
      numbers.push_back(number += next);
    }
    return numbers;
  }

  /// A generator that gives the bytes of a test next.
  static void set_random(SpeUnit& unit, std::uint64_t random) {
    SpeUnitState state = unit.save();
    state.random = random;
    ASSERT_TRUE(unit.restore(state).has_value());
  }
  static constexpr std::uint64_t kGives102000 = 0x5673'ed80'077d'2669,
                                 kGives1000ff80 = 0x3af6'411e'a0d2'2480;

  struct Row {
    SpeModel model;
    std::uint64_t pmsirr, pmsicr, random;
    Numbers sampled;
  };
  // The interval counters' pseudocode, worked through by hand.
  const std::vector<Row> kRows{
      {kSpeModelV1, kShortest, 0, 1, {257, 514, 771}},
      {kSpeModelV1, kShortest, 5, 1, {5, 262, 519}},
      {without_ernd(kSpeModelV1), kRandomised, 0, kGives102000, {273, 562, 819}},
      {kSpeModelV1, kRandomised, 0, kGives1000ff80, {273, 514, 1026, 1156}},
  };

  SpeUnit unit_of_row(const Row& row) {
    SpeUnit unit = unit_of(row.model);
    put(unit, reg::PMSIRR_EL1, row.pmsirr);
    put(unit, reg::PMSICR_EL1, row.pmsicr);
    set_random(unit, row.random);
    return unit;
  }
};

TEST_F(SpeSamplingTest, TakesTheOperationsThatTheManualsPseudocodeTakes) {
  for (const Row& row : kRows) {
    SpeUnit unit = unit_of_row(row);
    EXPECT_EQ(sampled(unit, row.sampled.back()), row.sampled);
  }
}

TEST_F(SpeSamplingTest, TakesTheSameOnesInStrides) {
  for (const Row& row : kRows) {
    SpeUnit unit = unit_of_row(row);
    EXPECT_EQ(strides(unit, row.sampled.size()), row.sampled);
  }
}

TEST_F(SpeSamplingTest, LookingAheadChangesNothing) {
  for (const Row& row : kRows) {
    SpeUnit unit = unit_of_row(row);
    const SpeUnitState before = unit.save();
    const std::uint64_t next = unit.until_sample();
    EXPECT_EQ(unit.until_sample(), next);
    EXPECT_EQ(unit.save(), before);
  }
}

TEST_F(SpeSamplingTest, SaysHowFarTheNextOneIsFromEverywhere) {
  for (const Row& row : kRows) {
    SpeUnit unit = unit_of_row(row);
    std::uint64_t number = 0;
    for (const std::uint64_t next : row.sampled) {
      for (; number + 1 < next; ++number) {
        ASSERT_EQ(unit.until_sample(), next - number) << number;
        unit.pass(1);
      }
      unit.sample({});
      ++number;
    }
  }
}

TEST_F(SpeSamplingTest, LongestIntervalIsReachedInOneStep) {
  constexpr std::uint64_t kLongest = 0xffff'ff00;
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, kLongest);
  EXPECT_EQ(unit.until_sample(), kLongest + 1);
  EXPECT_EQ(strides(unit, 3), (Numbers{kLongest + 1, 2 * kLongest + 2, 3 * kLongest + 3}));
  EXPECT_EQ(unit.statistics().population, 3 * kLongest + 3);
}

TEST_F(SpeSamplingTest, RandomBytesMoveTheLongestIntervalAsTheyDoTheShortest) {
  constexpr std::uint64_t kPeriod = 0xffff'ff01;
  SpeUnit behind = unit_of(kSpeModelV1);
  put(behind, reg::PMSIRR_EL1, 0xffff'ff01);
  set_random(behind, kGives1000ff80);
  EXPECT_EQ(strides(behind, 4),
            (Numbers{kPeriod + 0x10, 2 * kPeriod, 3 * kPeriod + 0xff, 4 * kPeriod + 0x80}));
  SpeUnit within = unit_of(without_ernd(kSpeModelV1));
  put(within, reg::PMSIRR_EL1, 0xffff'ff01);
  set_random(within, kGives102000);
  EXPECT_EQ(strides(within, 3), (Numbers{kPeriod + 0x10, 2 * kPeriod + 0x30, 3 * kPeriod + 0x30}));
}

TEST_F(SpeSamplingTest, CountersAreReadAsTheyAre) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, kRandomised);
  set_random(unit, kGives1000ff80);
  unit.pass(1);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1), 0x100u) << "reloaded";
  unit.pass(255);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1), 1u);
  unit.pass(1);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1), 0x1000'0000'0000'0000u) << "ECOUNT is loaded";
  unit.pass(2);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1), 0x0e00'0000'0000'00ffu) << "and counts beside COUNT";
}

TEST_F(SpeSamplingTest, CountersStandStillWhileDisabledAndGoOnAfterwards) {
  struct Off {
    SystemRegister which;
    std::uint64_t off, on;
  };
  for (const Off& off : {Off{reg::PMSCR_EL1, 0, kBoth}, Off{reg::PMBLIMITR_EL1, kLimit, kLimit | 1},
                         Off{reg::PMBSR_EL1, 0x2'0000, 0}}) {
    SpeUnit unit = unit_of(kSpeModelV1);
    unit.pass(100);
    const std::uint64_t counters = get(unit, reg::PMSICR_EL1);
    put(unit, off.which, off.off);
    EXPECT_EQ(unit.until_sample(), SpeUnit::kNever);
    EXPECT_FALSE(unit.profiles(0) || unit.profiles(1));
    unit.pass(1000);
    unit.drop();
    unit.sample({});
    EXPECT_EQ(get(unit, reg::PMSICR_EL1), counters);
    EXPECT_EQ(unit.statistics().population, 100u);
    put(unit, off.which, off.on);
    EXPECT_EQ(unit.until_sample(), 157u);
  }
}

TEST_F(SpeSamplingTest, WritingZeroStartsTheIntervalAnew) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.pass(100);
  put(unit, reg::PMSICR_EL1, 0);
  EXPECT_EQ(unit.until_sample(), 257u);
}

TEST_F(SpeSamplingTest, SecondaryCounterMovesWithSoftware) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, kRandomised);
  put(unit, reg::PMSICR_EL1, 0x0700'0000'0000'0050);
  EXPECT_EQ(unit.until_sample(), 7u);
  put(unit, reg::PMSICR_EL1, 0x0700'0000'0000'0000);
  EXPECT_EQ(unit.until_sample(), 7u) << "the first reloads COUNT and counts, too";
  put(unit, reg::PMSIRR_EL1, kShortest);
  EXPECT_EQ(unit.until_sample(), 257u) << "without RND it does not count";
  unit.pass(10);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1) >> 56, 7u);
}

TEST_F(SpeSamplingTest, SecondaryCounterThatPrimaryOvertakesIsLoadedAnew) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, kRandomised);
  set_random(unit, kGives1000ff80);
  for (const std::uint64_t count : {0x05, 0x20}) {
    put(unit, reg::PMSICR_EL1, 0x2000'0000'0000'0000 | count);
    EXPECT_EQ(unit.until_sample(), count + 0x10);
  }
}

TEST_F(SpeSamplingTest, IntervalOfZeroNeverEndsAndHangsNothing) {
  for (const std::uint64_t rnd : {0, 1}) {
    SpeUnit unit = unit_of(kSpeModelV1);
    put(unit, reg::PMSIRR_EL1, rnd);
    EXPECT_EQ(unit.until_sample(), SpeUnit::kNever);
    unit.pass(std::uint64_t{1} << 60);
    EXPECT_EQ(unit.statistics().population, std::uint64_t{1} << 60);
    put(unit, reg::PMSICR_EL1, 3);
    EXPECT_LT(unit.until_sample(), 3 + 256u) << "what is counted is counted to its end";
  }
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, 1);
  put(unit, reg::PMSICR_EL1, 0x0900'0000'0000'0000);
  EXPECT_EQ(unit.until_sample(), 9u);
  unit.pass(8);
  unit.sample({});
  EXPECT_EQ(unit.until_sample(), SpeUnit::kNever);
}

TEST_F(SpeSamplingTest, IntervalOfZeroWithARandomLowByteIsThatByte) {
  SpeUnit unit = unit_of(without_ernd(kSpeModelV1));
  put(unit, reg::PMSIRR_EL1, 1);
  set_random(unit, kGives102000);
  EXPECT_EQ(sampled(unit, 50), (Numbers{0x11, 0x11 + 0x21}));
  EXPECT_GT(unit.until_sample(), 2u) << "00 is no interval, and the next byte counts";
}

TEST_F(SpeSamplingTest, SecondSampleInFlightCollides) {
  SpeUnit unit = unit_of(kSpeModelV1);
  sample_next(unit, {.total_latency = 258});
  EXPECT_EQ(unit.save().in_flight, 258u);
  sample_next(unit, {});
  EXPECT_EQ(memory_.writes.size(), 1u) << "the second one is absent";
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kCollision);
  EXPECT_EQ(unit.statistics(), (SpeStatistics{.population = 514,
                                              .feed = 1,
                                              .filtrate = 1,
                                              .collisions = 1,
                                              .records = 1,
                                              .bytes = 64}));
  EXPECT_FALSE(unit.interrupt());
  sample_next(unit, {});
  EXPECT_EQ(memory_.writes.size(), 2u);
  EXPECT_EQ(get(unit, reg::PMBSR_EL1), kCollision) << "until software clears it";
}

TEST_F(SpeSamplingTest, SampleIsCompleteAfterItsLatencyInOperations) {
  SpeUnit unit = unit_of(kSpeModelV1);
  sample_next(unit, {.total_latency = 257});
  sample_next(unit, {.total_latency = 0xffff'ffff});
  EXPECT_EQ(unit.statistics().collisions, 0u);
  sample_next(unit, {});
  EXPECT_EQ(unit.statistics().collisions, 1u);
  EXPECT_EQ(unit.save().in_flight, 0xffff'ffffu - 257);
}

TEST_F(SpeSamplingTest, NothingIsInFlightOnceProfilingWasDisabled) {
  SpeUnit unit = unit_of(kSpeModelV1);
  sample_next(unit, {.total_latency = 1'000'000});
  put(unit, reg::PMSCR_EL1, 0);
  put(unit, reg::PMSCR_EL1, kBoth);
  sample_next(unit, {});
  EXPECT_EQ(unit.statistics().collisions, 0u);
}

TEST_F(SpeSamplingTest, DroppedOperationIsCountedAndLeavesNothing) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.pass(256);
  unit.drop();
  EXPECT_EQ(unit.statistics(), SpeStatistics{.population = 257});
  EXPECT_TRUE(memory_.writes.empty());
  EXPECT_EQ(unit.until_sample(), 257u);
  sample_next(unit, {.total_latency = 300});
  unit.pass(256);
  unit.drop();
  EXPECT_EQ(unit.statistics().collisions, 1u) << "dropped or not, it came too early";
}

TEST_F(SpeSamplingTest, OperationThatDisablesProfilingIsNotSampled) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.pass(256);
  put(unit, reg::PMSCR_EL1, 1);
  unit.sample({.pc = {.address = 0x1000, .level = 1}});
  EXPECT_EQ(unit.statistics(), SpeStatistics{.population = 256});
}

TEST_F(SpeSamplingTest, OperationThatChangesTheCountersIsSampledAllTheSame) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.pass(256);
  put(unit, reg::PMSICR_EL1, 5);
  unit.sample({});
  EXPECT_EQ(memory_.writes.size(), 1u);
  EXPECT_EQ(get(unit, reg::PMSICR_EL1), 4u);
}

TEST_F(SpeSamplingTest, OperationsThatPassAreNotSampledEvenIfSelected) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSICR_EL1, 1);
  unit.pass(1000);
  EXPECT_EQ(unit.statistics(), SpeStatistics{.population = 1000});
  EXPECT_EQ(unit.until_sample(), 1 + 4 * 257 - 1000u);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
