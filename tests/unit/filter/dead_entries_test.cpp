// SPDX-License-Identifier: MIT
#include "cli/filter/dead_entries.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/filter/images.hpp"

namespace vpmu::cli::filter {
namespace {

using namespace vpmu::test;
using virt::x86::EventFilter;
constexpr auto kAllow = FilterAction::kAllow;

std::vector<DeadEntry> dead_in(const std::vector<MaskedEvent>& events) {
  return dead_entries(masked_image(kAllow, events), Vendor::kIntel);
}

/// Why the only dead entry is: `entry`.
std::string why(std::uint32_t entry, const std::vector<MaskedEvent>& events) {
  const auto dead = dead_in(events);
  EXPECT_EQ(dead.size(), 1u);
  if (dead.empty()) return "";
  EXPECT_EQ(dead[0].entry, entry);
  return dead[0].why;
}

TEST(DeadEntries, NoneInAFilterOfWhichEveryEntryMatters) {
  EXPECT_TRUE(dead_in({}).empty());
  EXPECT_TRUE(
      dead_in({{0xd0, 0x7c, 0, false}, {0xd0, 0xff, 0x83, true}, {0xc0, 0xff, 0, false}}).empty());
}

TEST(DeadEntries, MatchOutsideTheMask) {
  EXPECT_EQ(why(1, {{0xc0, 0xff, 0, false}, {0xd0, 0x0f, 0x10, false}}),
            "matches 0x10 outside its mask 0x0f: no unit mask does");
}

TEST(DeadEntries, TheSameTwice) {
  EXPECT_EQ(why(2, {{0xd0, 0xff, 1, false}, {0xd0, 0xff, 2, false}, {0xd0, 0xff, 1, false}}),
            "is the same as entry 0");
}

TEST(DeadEntries, ExcludesOfNothing) {
  EXPECT_EQ(why(0, {{0xd1, 0xff, 1, true}, {0xd0, 0xff, 1, false}}),
            "excludes of an event select of which nothing is included");
  EXPECT_EQ(why(1, {{0xd0, 0xff, 1, false}, {0xd0, 0xff, 2, true}}),
            "excludes unit masks that no entry includes");
}

TEST(DeadEntries, IncludesWhatIsExcluded) {
  const auto dead =
      dead_in({{0xd0, 0xff, 1, false}, {0xd0, 0xfe, 0, true}, {0xd0, 0xfc, 0, false}});
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0], (DeadEntry{0, "includes only what is excluded by entry 1"}));
}

TEST(DeadEntries, CoveredByAWiderOneWhereverItStands) {
  EXPECT_EQ(why(0, {{0xd0, 0xff, 1, false}, {0xd0, 0xfe, 0, false}}),
            "includes only what is included by entry 1 already");
  EXPECT_EQ(why(1, {{0xd0, 0xfe, 0, false}, {0xd0, 0xff, 1, false}}),
            "includes only what is included by entry 0 already");
}

TEST(DeadEntries, CoveredBySeveralTogether) {
  EXPECT_EQ(why(2, {{0xd0, 0xfe, 0, false}, {0xd0, 0xfe, 2, false}, {0xd0, 0xfd, 1, false}}),
            "includes only what is included by entries 0 and 1 together already");
}

TEST(DeadEntries, ExcludesAreShadowedInWhatIsIncluded) {
  // Entry 2 excludes unit masks 4 and 5 too, which nobody includes.
  EXPECT_EQ(why(1, {{0xd0, 0xfc, 0, false}, {0xd0, 0xfe, 0, true}, {0xd0, 0xfa, 0, true}}),
            "excludes only what is excluded by entry 2 already");
}

TEST(DeadEntries, LegacyEntriesThatKvmDrops) {
  const FilterImage image = legacy_image(kAllow, {0x00c0, 0x1'0000'00c2, 0x1'00c0});
  const std::string why = "has bits that no event select and unit mask has: KVM drops it";
  EXPECT_EQ(dead_entries(image, Vendor::kIntel), (std::vector<DeadEntry>{{1, why}, {2, why}}));
  EXPECT_EQ(dead_entries(image, Vendor::kAmd), (std::vector<DeadEntry>{{2, why}}));
}

FilterImage without(const FilterImage& image, const std::vector<DeadEntry>& dead) {
  FilterImage rest = image;
  rest.count = 0;
  for (std::uint32_t i = 0; i < image.count; ++i) {
    if (std::ranges::find(dead, i, &DeadEntry::entry) == dead.end()) {
      rest.entries[rest.count++] = image.entries[i];
    }
  }
  return rest;
}

TEST(DeadEntries, RandomFiltersSayTheSameWithoutThem) {
  std::mt19937_64 random{1};
  unsigned found = 0;
  for (int round = 0; round < 1000; ++round) {
    const FilterImage image = random_image(random);
    const auto before = EventFilter::create(image, Vendor::kAmd);
    ASSERT_TRUE(before);
    const auto dead = dead_entries(image, Vendor::kAmd);
    found += static_cast<unsigned>(dead.size());
    const auto same = [&](const FilterImage& other) {
      const auto after = EventFilter::create(other, Vendor::kAmd);
      // All event selects that a random image can have.
      for (unsigned code = 0; code < 0x200 << 8; ++code) {
        if ((code >> 8 & 0xff) > 5) continue;
        const silicon::x86::EventSelector selector{static_cast<std::uint16_t>(code >> 8),
                                                   static_cast<std::uint8_t>(code)};
        if ((*before)->admits(selector) != (*after)->admits(selector)) return false;
      }
      return true;
    };
    const FilterImage rest = without(image, dead);
    ASSERT_TRUE(same(rest)) << "round " << round;
    // None of what is left is a duplicate, or matches nothing, or is within one other.
    for (const DeadEntry& again : dead_entries(rest, Vendor::kAmd)) {
      EXPECT_NE(again.why.substr(0, 14), "is the same as") << "round " << round;
      EXPECT_NE(again.why.substr(0, 7), "matches") << "round " << round;
    }
  }
  EXPECT_GT(found, 1000u);
}

}  // namespace
}  // namespace vpmu::cli::filter
