// SPDX-License-Identifier: MIT
#include "machine/profiler/sampling_rate.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "machine/profiler/profiler.hpp"

namespace vpmu::test {
namespace {

using machine::ProfilerConfig;
using machine::SamplingRate;

constexpr std::uint64_t kHz = 1'000'000'000;
constexpr std::uint64_t kFrequency = 1'000;
constexpr std::uint64_t kBetween = kHz / kFrequency;  // cycles

/// Samples of an event that comes `times` in `of` cycles, `samples` of them.
void sample(SamplingRate& rate, unsigned samples, std::uint64_t times, std::uint64_t of = 1) {
  for (unsigned n = 0; n < samples; ++n) {
    const std::uint64_t period = rate.period();
    rate.sampled(period, period * of / times);
  }
}

TEST(SamplingRate, BeginsAsIfTheEventCameEveryCycle) {
  EXPECT_EQ((SamplingRate{kHz, kFrequency, 0}.period()), kBetween);
}

TEST(SamplingRate, BeginsWithThePeriodGiven) {
  EXPECT_EQ((SamplingRate{kHz, kFrequency, 5'000}.period()), 5'000u);
}

TEST(SamplingRate, OneSampleIsEnoughForAnEventThatComesEvenly) {
  for (const std::uint64_t begin : {100u, 1'000u, 1'000'000u, 1'000'000'000u}) {
    SamplingRate rate{kHz, kFrequency, begin};
    sample(rate, 1, 1, 4);
    EXPECT_EQ(rate.period(), kBetween / 4) << "from " << begin;
    sample(rate, 20, 1, 4);
    EXPECT_EQ(rate.period(), kBetween / 4) << "from " << begin;
  }
}

TEST(SamplingRate, FollowsAnotherPhaseAtOnce) {
  SamplingRate rate{kHz, kFrequency, 0};
  sample(rate, 50, 1, 100);
  ASSERT_EQ(rate.period(), kBetween / 100);
  sample(rate, 1, 2);
  EXPECT_EQ(rate.period(), kBetween * 2);
}

TEST(SamplingRate, IsCalmWhileTheEventVaries) {
  SamplingRate rate{kHz, kFrequency, 0};
  for (int n = 0; n < 100; ++n) {
    // Half as often as cycles, one and a half times as often, in turn.
    const std::uint64_t period = rate.period();
    rate.sampled(period, n % 2 == 0 ? period * 2 : period * 2 / 3);
    if (n < 20) continue;
    EXPECT_GT(rate.period(), kBetween / 2);
    EXPECT_LT(rate.period(), kBetween * 3 / 2);
  }
}

TEST(SamplingRate, ShortensAPeriodWhoseEndDoesNotCome) {
  SamplingRate rate{kHz, kFrequency, std::uint64_t{1} << 40};
  EXPECT_FALSE(rate.look(0, kBetween)) << "not yet late";
  EXPECT_TRUE(rate.look(kBetween / 10, 2 * kBetween));
  EXPECT_EQ(rate.period(), kBetween / 20);
  EXPECT_FALSE(rate.look(kBetween / 10, 2 * kBetween)) << "that is known";
}

TEST(SamplingRate, NeverComesBelowTheShortestPeriod) {
  SamplingRate rate{kHz, kHz, 1};
  EXPECT_EQ(rate.period(), ProfilerConfig::kShortestPeriod);
  rate.sampled(1, kHz);
  EXPECT_EQ(rate.period(), ProfilerConfig::kShortestPeriod);
  SamplingRate silent{kHz, kFrequency, 0};
  EXPECT_TRUE(silent.look(0, 100 * kHz));
  EXPECT_EQ(silent.period(), ProfilerConfig::kShortestPeriod);
}

TEST(SamplingRate, StandsExtremes) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  for (const std::uint64_t frequency : {std::uint64_t{1}, kHz, kMost}) {
    SamplingRate rate{kHz, frequency, kMost};
    for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{1}, kMost}) {
      for (const std::uint64_t cycles : {std::uint64_t{0}, std::uint64_t{1}, kMost}) {
        rate.sampled(count, cycles);
        EXPECT_GE(rate.period(), ProfilerConfig::kShortestPeriod);
        rate.look(count, cycles);
        EXPECT_GE(rate.period(), ProfilerConfig::kShortestPeriod);
      }
    }
  }
}

}  // namespace
}  // namespace vpmu::test
