// SPDX-License-Identifier: MIT
#include "cli/stat/stat_rows.hpp"

#include <gtest/gtest.h>

#include "unit/cli/stat/stat_fixture.hpp"

namespace vpmu::test {
namespace {

using cli::stat::StatPlan;
using cli::stat::StatRow;

std::vector<StatRow> rows(const StatPlan& plan, const CountsReading& reading,
                          bool per_vcpu = false) {
  return cli::stat::stat_rows(plan, reading, icelake().hz, per_vcpu);
}

TEST(StatRows, VcpusAreSummedUpOrShownOneByOne) {
  const auto events = plan("cycles,branches");
  const auto counts = reading({{count(100), count(23)}, {count(4), count(5)}});
  const auto together = rows(events, counts);
  ASSERT_EQ(together.size(), 2u);
  EXPECT_EQ(together[0].value(), 123u);
  EXPECT_EQ(together[1].value(), 9u);
  EXPECT_FALSE(together[0].vcpu.has_value());
  const auto apart = rows(events, counts, true);
  ASSERT_EQ(apart.size(), 4u);
  EXPECT_EQ(apart[1].value(), 23u);
  EXPECT_EQ(apart[1].vcpu, 1u);
  EXPECT_EQ(apart[2].value(), 4u);
  EXPECT_EQ(apart[2].vcpu, 0u);
}

TEST(StatRows, AnEventThatSharedItsCounterIsScaledToTheNearest) {
  const auto events = plan("branches");
  EXPECT_EQ(rows(events, reading({{count(10, 250)}}))[0].value(), 40u);
  EXPECT_DOUBLE_EQ(rows(events, reading({{count(10, 250)}}))[0].running_percent(), 25);
  // 10 * 1000 / 300 = 33.3; 20 * 1000 / 300 = 66.7
  EXPECT_EQ(rows(events, reading({{count(10, 300)}}))[0].value(), 33u);
  EXPECT_EQ(rows(events, reading({{count(20, 300)}}))[0].value(), 67u);
  // As perf does: counts and times are summed up first, 50 * 2000 / 1250.
  EXPECT_EQ(rows(events, reading({{count(10, 250), count(40, 1000)}}))[0].value(), 80u);
  EXPECT_EQ(rows(events, reading({{count(std::uint64_t{1} << 63, 1)}}))[0].value(),
            ~std::uint64_t{0});
}

TEST(StatRows, WhatWasNotCountedSaysWhy) {
  const auto events = plan("branches:D");
  const auto reason = [&](std::vector<Count> counts) {
    const auto* text = rows(events, reading({std::move(counts)}))[0].not_counted;
    return std::string{text == nullptr ? "" : text};
  };
  EXPECT_EQ(reason({in_error()}), "pinned, and did not fit");
  EXPECT_EQ(reason({count(0, 0)}), "found no free counter");
  EXPECT_EQ(reason({Count{}}), "its vCPU did not run");
  EXPECT_EQ(reason({count(0)}), "");
  EXPECT_EQ(reason({in_error(), count(7)}), "");
  const auto half = rows(events, reading({{in_error(), count(7)}}))[0];
  EXPECT_EQ(half.value(), 7u);
  EXPECT_EQ(half.in_error, 1u);
}

TEST(StatRows, RatiosAreOfTheSameModesAndVcpus) {
  struct Case {
    const char* part;
    const char* whole;
    double value;  // of 30 in 120
    const char* unit;
  };
  const Case cases[] = {
      {"instructions", "cycles", 0.25, "insn per cycle"},
      {"instructions:u", "cycles:u", 0.25, "insn per cycle"},
      {"branch-misses", "branches", 25, "of all branches"},
      {"BR_INST_RETIRED.COND", "branches", 25, "of all branches"},
      {"cache-misses", "cache-references", 25, "of all cache refs"},
      {"MEM_LOAD_RETIRED.L1_MISS", "MEM_INST_RETIRED.ALL_LOADS", 25, "of all loads"},
      {"L1D.REPLACEMENT", "MEM_INST_RETIRED.ANY", 25, "of all accesses"},
      {"TOPDOWN.BACKEND_BOUND_SLOTS", "TOPDOWN.SLOTS_P", 25, "of all slots"},
  };
  for (const Case& expected : cases) {
    const auto events = plan(std::string{expected.part} + "," + expected.whole);
    const auto metric = rows(events, reading({{count(30)}, {count(120)}}))[0].metric;
    ASSERT_TRUE(metric.has_value()) << expected.part;
    EXPECT_DOUBLE_EQ(metric->value, expected.value) << expected.part;
    EXPECT_STREQ(metric->unit, expected.unit) << expected.part;
    // Nothing in which it would be a part.
    EXPECT_FALSE(rows(events, reading({{count(30)}, {count(0)}}))[0].metric) << expected.part;
    EXPECT_FALSE(rows(events, reading({{count(30)}, {count(0, 0)}}))[0].metric) << expected.part;
  }
  const auto other_modes = plan("branch-misses:u,branches:k,branches");
  EXPECT_FALSE(rows(other_modes, reading({{count(1)}, {count(2)}, {count(3)}}))[0].metric);
  const auto each = rows(plan("branch-misses,branches"),
                         reading({{count(1), count(30)}, {count(4), count(40)}}), true);
  EXPECT_DOUBLE_EQ(each[0].metric->value, 25);
  EXPECT_DOUBLE_EQ(each[1].metric->value, 75);
}

TEST(StatRows, CyclesHaveAFrequencyAndTimeAShareOfTheHost) {
  const auto events = plan("cycles,cycles:u,task-clock");
  const auto both = rows(events, reading({{count(3000), count(1000)}, {count(5), count(5)}}));
  EXPECT_DOUBLE_EQ(both[0].metric->value, 2);  // 4000 cycles in 2 times 1000 ns
  EXPECT_STREQ(both[0].metric->unit, "GHz");
  EXPECT_FALSE(both[1].metric.has_value());
  EXPECT_EQ(both[2].value(), 2000u);
  EXPECT_DOUBLE_EQ(both[2].metric->value, 2);  // both vCPUs had 1000 of 1000 ns
  EXPECT_STREQ(both[2].metric->unit, "CPUs utilized");
}

TEST(StatRows, ADifferenceIsWhatHappenedInBetween) {
  auto before = reading({{count(100, 400)}});
  auto after = reading({{count(160, 700)}});
  after.time = before.time + 500;
  after.counts[0][0].time_enabled_ns = 1600;
  const auto between = cli::stat::difference(after, before);
  EXPECT_EQ(between.time, 500u);
  EXPECT_EQ(between.counts[0][0].value, 60u);
  EXPECT_EQ(between.counts[0][0].time_enabled_ns, 600u);
  EXPECT_EQ(between.counts[0][0].time_running_ns, 300u);
  // Nothing came before the first.
  EXPECT_EQ(cli::stat::difference(after, {.time = 0, .counts = {}}).counts[0][0].value, 160u);
}

}  // namespace
}  // namespace vpmu::test
