// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/sample_totals.hpp"

#include <gtest/gtest.h>

namespace vpmu::silicon::arm64 {
namespace {

class SampleTotalsTest : public testing::Test {
 protected:
  void retire(Privilege privilege, std::uint64_t count) {
    totals.add(RawEvent::kInstructions, privilege, count);
  }
  [[nodiscard]] std::uint64_t user(RawEvent event) const {
    return totals.held(event, {.user = true, .kernel = false});
  }
  [[nodiscard]] std::uint64_t kernel(RawEvent event) const {
    return totals.held(event, {.user = false, .kernel = true});
  }

  RetireTotals totals;
  SampleTotals samples{totals};
};

TEST_F(SampleTotalsTest, PopulationIsWhatRetiresAtProfiledLevels) {
  retire(Privilege::kKernel, 100);
  samples.derive();
  EXPECT_EQ(kernel(RawEvent::kSamplePopulation), 0u) << "nothing is profiled";
  samples.profile({.user = true, .kernel = false}, false);
  EXPECT_TRUE(samples.counts(Privilege::kUser));
  EXPECT_FALSE(samples.counts(Privilege::kKernel));
  retire(Privilege::kKernel, 10);
  retire(Privilege::kUser, 7);
  samples.derive();
  samples.derive();
  EXPECT_EQ(user(RawEvent::kSamplePopulation), 7u) << "once";
  EXPECT_EQ(kernel(RawEvent::kSamplePopulation), 0u);

  retire(Privilege::kUser, 3);
  samples.profile({}, false);
  retire(Privilege::kUser, 5);
  samples.derive();
  EXPECT_EQ(user(RawEvent::kSamplePopulation), 10u) << "up to where it was stopped";
}

TEST_F(SampleTotalsTest, TheInstructionThatStartsProfilingIsNoneOfIt) {
  retire(Privilege::kKernel, 5);
  samples.profile({.user = true, .kernel = true}, true);
  samples.derive();
  retire(Privilege::kKernel, 1);
  samples.derive();
  EXPECT_EQ(kernel(RawEvent::kSamplePopulation), 0u);
  retire(Privilege::kKernel, 4);
  retire(Privilege::kUser, 2);
  samples.derive();
  EXPECT_EQ(kernel(RawEvent::kSamplePopulation), 4u);
  EXPECT_EQ(user(RawEvent::kSamplePopulation), 2u);
}

TEST_F(SampleTotalsTest, WhatTheUnitHasCountedSinceIsAdded) {
  const SpeStatistics before{.feed = 5, .filtrate = 4, .collisions = 1};
  SpeStatistics since = before;
  since.feed += 1;
  samples.selected(Privilege::kUser, before, since);
  since = before;
  since.collisions += 1;
  samples.selected(Privilege::kKernel, before, since);
  since = before;
  since.feed += 1;
  since.filtrate += 1;
  samples.selected(Privilege::kKernel, before, since);
  EXPECT_EQ(user(RawEvent::kSamples), 1u);
  EXPECT_EQ(user(RawEvent::kKeptSamples), 0u);
  EXPECT_EQ(kernel(RawEvent::kSamples), 1u);
  EXPECT_EQ(kernel(RawEvent::kKeptSamples), 1u);
  EXPECT_EQ(kernel(RawEvent::kSampleCollisions), 1u);
  EXPECT_EQ(user(RawEvent::kSampleCollisions), 0u);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
