// SPDX-License-Identifier: MIT
#include "profile/symbols/nested_ranges.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace {
using vpmu::profile::AddressRange;
using vpmu::profile::NestedRanges;
constexpr std::uint32_t kNone = NestedRanges::kNone;

TEST(NestedRanges, WithoutRangesNothingIsFound) {
  EXPECT_EQ(NestedRanges{}.find(0), kNone);
  EXPECT_EQ(NestedRanges{{}}.find(5), kNone);
}

TEST(NestedRanges, AnEndIsNotPartOfItsRange) {
  const NestedRanges ranges{{{10, 20}, {20, 30}, {40, 50}}};
  EXPECT_EQ(ranges.find(9), kNone);
  EXPECT_EQ(ranges.find(10), 0u);
  EXPECT_EQ(ranges.find(19), 0u);
  EXPECT_EQ(ranges.find(20), 1u);
  EXPECT_EQ(ranges.find(30), kNone);
  EXPECT_EQ(ranges.find(49), 2u);
  EXPECT_EQ(ranges.find(50), kNone);
  EXPECT_EQ(ranges.find(~std::uint64_t{0}), kNone);
}

TEST(NestedRanges, BehindAnInnerRangeTheOuterOneGoesOn) {
  const NestedRanges ranges{{{0, 100}, {10, 20}, {10, 15}, {12, 13}}};
  EXPECT_EQ(ranges.find(5), 0u);
  EXPECT_EQ(ranges.find(10), 2u);
  EXPECT_EQ(ranges.find(12), 3u);
  EXPECT_EQ(ranges.find(13), 2u);
  EXPECT_EQ(ranges.find(15), 1u);
  EXPECT_EQ(ranges.find(20), 0u);
}

TEST(NestedRanges, AnyRangesGiveWhatLookingAtAllOfThemGives) {
  std::mt19937 random{1};
  for (int round = 0; round < 200; ++round) {
    std::vector<AddressRange> ranges(random() % 12);
    for (AddressRange& range : ranges) {
      range.start = random() % 40;
      range.end = random() % 48;  // some are empty, or end before they start
    }
    std::ranges::sort(ranges, {}, &AddressRange::start);
    const NestedRanges nested{ranges};
    for (std::uint64_t address = 0; address < 50; ++address) {
      std::uint32_t expected = kNone;
      for (std::uint32_t i = 0; i < ranges.size(); ++i) {
        if (ranges[i].start <= address && address < ranges[i].end) expected = i;
      }
      ASSERT_EQ(nested.find(address), expected) << "address " << address << ", round " << round;
    }
  }
}
}  // namespace
