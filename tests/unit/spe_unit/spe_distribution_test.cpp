// SPDX-License-Identifier: MIT
//
// Whether samples show what a program does: mean periods, and the positions in loops that are
// sampled. Seeds are fixed, so that the outcome is, too.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeDistribution : public SpeUnitTest {
 protected:
  static constexpr std::uint64_t kOperations = 10'000'000;

  /// How often each position of a loop of so many operations is sampled in `kOperations`.
  std::vector<double> positions(const SpeModel& model, std::uint64_t pmsirr, std::uint64_t length) {
    SpeUnit unit = unit_of(model, 42);
    put(unit, reg::PMSIRR_EL1, pmsirr);
    std::vector<double> counts(length);
    std::uint64_t at = 0;
    for (;;) {
      const std::uint64_t next = unit.until_sample();
      if (at + next > kOperations) return counts;
      at += next;
      put(unit, reg::PMBPTR_EL1, kBuffer);
      unit.pass(next - 1);
      unit.sample({});
      ++counts[(at - 1) % length];
    }
  }
  static double sum(const std::vector<double>& numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), 0.0);
  }
  /// Chi-square of counts against weights, in standard deviations from what is to be expected.
  static double deviations(const std::vector<double>& counts, const std::vector<double>& weights) {
    const double scale = sum(counts) / sum(weights);
    double chi_square = 0;
    for (std::size_t n = 0; n < counts.size(); ++n) {
      const double expected = weights[n] * scale;
      if (expected == 0) {
        EXPECT_EQ(counts[n], 0) << n;
        continue;
      }
      chi_square += (counts[n] - expected) * (counts[n] - expected) / expected;
    }
    const double degrees = static_cast<double>(counts.size()) - 1;
    return (chi_square - degrees) / std::sqrt(2 * degrees);
  }
  static std::vector<double> uniform(std::uint64_t length) {
    return std::vector<double>(length, 1.0);
  }
  static constexpr double kNotByChance = 4;
};

TEST_F(SpeDistribution, MeanPeriodIsWhatTheModeGives) {
  struct Row {
    SpeModel model;
    bool rnd;
    double beside_interval;
  };
  for (const Row& row : {Row{kSpeModelV1, false, 1}, Row{kSpeModelV1, true, 1},
                         Row{without_ernd(kSpeModelV1), true, 1 + 127.5}}) {
    for (const std::uint64_t interval : {1, 4, 16}) {
      const double samples = sum(positions(row.model, interval << 8 | row.rnd, 1));
      const double mean = static_cast<double>(256 * interval) + row.beside_interval;
      EXPECT_NEAR(static_cast<double>(kOperations) / samples, mean, mean * 0.002) << interval;
    }
  }
}

TEST_F(SpeDistribution, EveryPositionOfALoopIsSampledAlike) {
  for (const SpeModel& model : {kSpeModelV1, without_ernd(kSpeModelV1)}) {
    for (const std::uint64_t length : {7, 16, 100, 256, 1000}) {
      const auto counts = positions(model, 0x401, length);
      EXPECT_LT(deviations(counts, uniform(length)), kNotByChance) << length;
    }
  }
}

TEST_F(SpeDistribution, WithoutRandomnessALoopThatDividesThePeriodIsSampledInOnePlace) {
  const auto counts = positions(kSpeModelV1, 0x400, 41);  // 1025 = 25 * 41
  EXPECT_EQ(*std::ranges::max_element(counts), sum(counts));
}

TEST_F(SpeDistribution, WithRandomnessALoopThatDividesThePeriodIsSampledThroughout) {
  // The random byte alone says where: position p comes up as often as bytes are p modulo the
  // length, behind where the period ends.
  for (const std::uint64_t length : {5, 25, 41, 205}) {
    const auto counts = positions(kSpeModelV1, 0x401, length);
    std::vector<double> weights(length);
    for (std::uint64_t byte = 0; byte < 256; ++byte) ++weights[(1025 - 1 + byte) % length];
    EXPECT_LT(deviations(counts, weights), kNotByChance) << length;
    EXPECT_GT(*std::ranges::min_element(counts), 0) << length;
  }
}

TEST_F(SpeDistribution, RandomnessThatAddsUpKnowsNoLoops) {
  for (const std::uint64_t length : {5, 25, 41, 205, 1025}) {
    const auto counts = positions(without_ernd(kSpeModelV1), 0x401, length);
    EXPECT_LT(deviations(counts, uniform(length)), kNotByChance) << length;
  }
}

TEST_F(SpeDistribution, ChiSquareTellsWhatIsNotUniform) {
  EXPECT_GT(deviations(positions(kSpeModelV1, 0x400, 41), uniform(41)), 1000);
  std::vector<double> lopsided(100, 100.0);
  lopsided[17] = 300;
  EXPECT_GT(deviations(lopsided, uniform(100)), kNotByChance);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
