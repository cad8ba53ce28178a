// SPDX-License-Identifier: MIT
//
// What a filter admits, and why; the vectors of KVM's pmu_event_filter_test as far as they are
// about the filter alone.
#include "vpmu/virt/x86/event_filter.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "bench/support/allocations.hpp"
#include "unit/virt/filter_images.hpp"

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::EventSelector;
using silicon::x86::Vendor;
using Reason = FilterVerdict::Reason;
using Entries = std::vector<std::uint64_t>;

constexpr Vendor kVendors[] = {Vendor::kIntel, Vendor::kAmd};

unsigned admitted_unit_masks(const EventFilter& filter, std::uint16_t event) {
  unsigned admitted = 0;
  for (unsigned u = 0; u < 256; ++u) {
    admitted += filter.admits({event, static_cast<std::uint8_t>(u)}) ? 1 : 0;
  }
  return admitted;
}

// ---- Legacy and masked entries ------------------------------------------------------------------

TEST(EventFilter, WithoutEntriesTheActionDecides) {
  for (const std::uint32_t flags : {kLegacyMode, kMaskedMode}) {
    const auto deny = filter_of(image_of(kDeny, flags, {}));
    const auto allow = filter_of(image_of(kAllow, flags, {}));
    for (unsigned selector = 0; selector < 0x10000; ++selector) {
      const EventSelector event{static_cast<std::uint16_t>(selector & 0xff),
                                static_cast<std::uint8_t>(selector >> 8)};
      ASSERT_TRUE(deny->admits(event)) << std::hex << selector;
      ASSERT_FALSE(allow->admits(event)) << std::hex << selector;
    }
    for (unsigned k = 0; k < 32; ++k) {
      EXPECT_TRUE(deny->admits_fixed(k));
      EXPECT_FALSE(allow->admits_fixed(k));
    }
  }
}

TEST(EventFilter, LegacyEntryIsOneEventWithOneUnitMask) {
  const auto allow = filter_of(image_of(kAllow, kLegacyMode, {0x412e}));
  const auto deny = filter_of(image_of(kDeny, kLegacyMode, {0x412e}));
  for (unsigned event = 0; event < 256; ++event) {
    const bool named = event == 0x2e;
    EXPECT_EQ(admitted_unit_masks(*allow, static_cast<std::uint16_t>(event)), named ? 1u : 0u);
    EXPECT_EQ(admitted_unit_masks(*deny, static_cast<std::uint16_t>(event)), named ? 255u : 256u);
  }
  EXPECT_TRUE(allow->admits({0x2e, 0x41}));
  EXPECT_FALSE(deny->admits({0x2e, 0x41}));
}

TEST(EventFilter, ImpossibleLegacyEntriesAreAsIfNotThere) {
  const Entries impossible{~0ULL, 0xc0 | 1ULL << 16, 0xc0 | 1ULL << 55, 0xc0 | 1ULL << 63};
  for (const Vendor vendor : kVendors) {
    const auto allow = filter_of(image_of(kAllow, kLegacyMode, impossible), vendor);
    const auto deny = filter_of(image_of(kDeny, kLegacyMode, impossible), vendor);
    for (const std::uint16_t event : {0x00, 0xc0, 0xff}) {
      EXPECT_EQ(admitted_unit_masks(*allow, event), 0u);
      EXPECT_EQ(admitted_unit_masks(*deny, event), 256u);
    }
  }
}

TEST(EventFilter, MaskedEntryIsEveryUnitMaskThatMatchesForAllMasksAndMatches) {
  for (unsigned mask = 0; mask < 256; mask += 1) {
    for (const unsigned match : {0U, mask, mask & 0x55, mask & 0xaa, mask ^ 0x80, 0xffU}) {
      const auto filter = filter_of(image_of(
          kAllow, kMaskedMode,
          {include(0xd0, static_cast<std::uint8_t>(mask), static_cast<std::uint8_t>(match))}));
      for (unsigned u = 0; u < 256; ++u) {
        ASSERT_EQ(filter->admits({0xd0, static_cast<std::uint8_t>(u)}), (u & mask) == match)
            << mask << " " << match << " " << u;
      }
    }
  }
}

TEST(EventFilter, MatchOutsideItsMaskIsDeadAndSoIsAnExcludeAlone) {
  const auto dead = filter_of(image_of(kAllow, kMaskedMode, {include(0xd0, 0x0f, 0x10)}));
  EXPECT_EQ(admitted_unit_masks(*dead, 0xd0), 0u);
  const auto dead_exclude =
      filter_of(image_of(kAllow, kMaskedMode, {include(0xd0, 0, 0), exclude(0xd0, 0x0f, 0x10)}));
  EXPECT_EQ(admitted_unit_masks(*dead_exclude, 0xd0), 256u);
  const auto alone = filter_of(image_of(kDeny, kMaskedMode, {exclude(0xd0, 0, 0)}));
  EXPECT_EQ(admitted_unit_masks(*alone, 0xd0), 256u) << "nothing there that it excludes from";
  const auto other =
      filter_of(image_of(kAllow, kMaskedMode, {include(0xd0, 0, 0), exclude(0xd1, 0, 0)}));
  EXPECT_EQ(admitted_unit_masks(*other, 0xd0), 256u) << "of another event";
  EXPECT_EQ(admitted_unit_masks(*other, 0xd1), 0u);
}

TEST(EventFilter, ExcludesTakeFromIncludesWhateverTheirOrder) {
  const Entries entries{exclude(0xd0, 0xff, 0x83), include(0xd0, 0x7c, 0x00),
                        exclude(0xd0, 0xff, 0x01)};
  const auto allow = filter_of(image_of(kAllow, kMaskedMode, entries));
  const auto deny = filter_of(image_of(kDeny, kMaskedMode, entries));
  for (unsigned u = 0; u < 256; ++u) {
    const auto unit_mask = static_cast<std::uint8_t>(u);
    const bool matched = (u & 0x7c) == 0 && u != 0x83 && u != 0x01;
    EXPECT_EQ(allow->admits({0xd0, unit_mask}), matched) << u;
    EXPECT_EQ(deny->admits({0xd0, unit_mask}), !matched) << u << ": what is excluded is allowed";
  }
}

TEST(EventFilter, SameEntryTwiceIsTheSameEntry) {
  const auto filter =
      filter_of(image_of(kAllow, kMaskedMode,
                         {include(0xd0, 0xff, 1), include(0xd0, 0xff, 1), include(0xd0, 0xff, 2),
                          exclude(0xd0, 0xff, 2), exclude(0xd0, 0xff, 2)}));
  EXPECT_EQ(admitted_unit_masks(*filter, 0xd0), 1u);
  EXPECT_TRUE(filter->admits({0xd0, 1}));
}

TEST(EventFilter, EveryEntryMayHaveAnEventOfItsOwn) {
  Entries entries;
  for (unsigned event = 0; event < 300; ++event) {
    entries.push_back(include(static_cast<std::uint16_t>(event * 13), 0xff, 0x11));
  }
  const auto filter = filter_of(image_of(kAllow, kMaskedMode, entries), Vendor::kAmd);
  for (unsigned event = 0; event < 4096; ++event) {
    const bool named = event % 13 == 0 && event / 13 < 300;
    EXPECT_EQ(filter->admits({static_cast<std::uint16_t>(event), 0x11}), named) << event;
    EXPECT_FALSE(filter->admits({static_cast<std::uint16_t>(event), 0x10})) << event;
  }
}

TEST(EventFilter, OnlyTheEntriesThatAreCountedMatter) {
  FilterImage image =
      image_of(kAllow, kMaskedMode, {include(0xc0, 0xff, 0), include(0xc4, 0xff, 0)});
  image.count = 1;
  const auto filter = filter_of(image);
  EXPECT_TRUE(filter->admits({0xc0, 0}));
  EXPECT_FALSE(filter->admits({0xc4, 0}));
}

// ---- Vendors ------------------------------------------------------------------------------------

TEST(EventFilter, IntelLooksAtEightBitsOfTheEventSelectAndAmdAtTwelve) {
  const FilterImage image = image_of(kAllow, kMaskedMode, {include(0xc2, 0xff, 0)});
  const auto intel = filter_of(image, Vendor::kIntel);
  const auto amd = filter_of(image, Vendor::kAmd);
  for (unsigned high = 0; high < 16; ++high) {
    const auto event = static_cast<std::uint16_t>(high << 8 | 0xc2);
    EXPECT_TRUE(intel->admits({event, 0})) << high;
    EXPECT_EQ(amd->admits({event, 0}), high == 0) << high;
    EXPECT_TRUE(intel->explain({event, 0}).admitted) << high;
    EXPECT_EQ(amd->explain({event, 0}).admitted, high == 0) << high;
  }
}

TEST(EventFilter, AmdEntryNamesTwelveBits) {
  const auto filter = filter_of(image_of(kDeny, kMaskedMode, {include(0xfff, 0, 0)}), Vendor::kAmd);
  EXPECT_FALSE(filter->admits({0xfff, 7}));
  EXPECT_TRUE(filter->admits({0x0ff, 7}));
  EXPECT_TRUE(filter->admits({0xf0f, 7}));
}

TEST(EventFilter, ImagesThatKvmRefusesMakeNoFilter) {
  const auto error = [](const FilterImage& image, Vendor vendor) {
    const auto filter = EventFilter::create(image, vendor);
    return filter ? std::optional<FilterRefusal>{} : filter.error();
  };
  const FilterImage amd = image_of(kAllow, kMaskedMode, {0xc0, include(0x1c2, 0xff, 0)});
  EXPECT_EQ(error(amd, Vendor::kIntel), (FilterRefusal{FilterError::kReservedBits, 1}));
  EXPECT_EQ(error(amd, Vendor::kAmd), std::nullopt);
  EXPECT_EQ(error(image_of(2, kMaskedMode, {}), Vendor::kAmd), FilterRefusal{FilterError::kAction});
}

TEST(EventFilter, WithoutMemoryThereIsNoFilterButBadImagesAreRefusedForWhatTheyAre) {
  const auto error = [](const FilterImage& image) {
    const bench::NoMemory no_memory;
    const auto filter = EventFilter::create(image, Vendor::kIntel);
    return filter ? std::optional<FilterRefusal>{} : filter.error();
  };
  EXPECT_EQ(error(image_of(kAllow, kMaskedMode, {0xc0})), FilterRefusal{FilterError::kNoMemory});
  EXPECT_EQ(error(image_of(2, kMaskedMode, {0xc0})), FilterRefusal{FilterError::kAction});
  EXPECT_TRUE(EventFilter::create(image_of(kAllow, kMaskedMode, {0xc0}), Vendor::kIntel));
}

TEST(EventFilter, KnowsWhatItWasMadeOf) {
  const auto filter = filter_of(image_of(kDeny, kMaskedMode, {0xc0}, 5), Vendor::kAmd);
  EXPECT_EQ(filter->image().action, kDeny);
  EXPECT_EQ(filter->image().count, 1u);
  EXPECT_EQ(filter->image().fixed_bitmap, 5u);
  EXPECT_EQ(filter->image().entries[0], 0xc0u);
  EXPECT_EQ(filter->vendor(), Vendor::kAmd);
}

// ---- Fixed counters -----------------------------------------------------------------------------

TEST(EventFilter, FixedCountersFollowTheBitmapAloneAndOthersTheEntriesAlone) {
  for (const std::uint32_t bitmap : {0U, 1U, 5U, 0x8000'0000U, ~0U}) {
    const Entries entries{0x00c0, 0x003c};
    const auto allow = filter_of(image_of(kAllow, kLegacyMode, entries, bitmap));
    const auto deny = filter_of(image_of(kDeny, kLegacyMode, entries, bitmap));
    for (unsigned k = 0; k < 32; ++k) {
      const bool named = (bitmap >> k & 1) != 0;
      EXPECT_EQ(allow->admits_fixed(k), named) << bitmap << " " << k;
      EXPECT_EQ(deny->admits_fixed(k), !named) << bitmap << " " << k;
      EXPECT_EQ(allow->explain_fixed(k), (FilterVerdict{named, Reason::kFixedBitmap, 0}));
      EXPECT_EQ(deny->explain_fixed(k), (FilterVerdict{!named, Reason::kFixedBitmap, 0}));
    }
    EXPECT_TRUE(allow->admits({0xc0, 0})) << bitmap;
    EXPECT_FALSE(deny->admits({0xc0, 0})) << bitmap;
  }
}

// ---- Why ----------------------------------------------------------------------------------------

TEST(EventFilterReason, IsTheFirstEntryThatDecides) {
  const Entries entries{include(0xc4, 0, 0),       exclude(0xd0, 0xff, 0x83),
                        include(0xd0, 0xff, 0x82), include(0xd0, 0x7c, 0),
                        include(0xd0, 0x0f, 0x10), exclude(0xd0, 0xfe, 0x82),
                        exclude(0xd1, 0xff, 0x01)};
  const struct {
    EventSelector event;
    bool matched;
    Reason reason;
    std::uint32_t entry;
  } cases[] = {
      {{0xc4, 0x55}, true, Reason::kIncluded, 0},
      {{0xd0, 0x81}, true, Reason::kIncluded, 3},
      {{0xd0, 0x82}, false, Reason::kExcluded, 5},
      {{0xd0, 0x83}, false, Reason::kExcluded, 1},
      {{0xd0, 0x10}, false, Reason::kNotIncluded, 0},
      {{0xd1, 0x01}, false, Reason::kNotIncluded, 0},
      {{0x3c, 0x00}, false, Reason::kNotIncluded, 0},
  };
  for (const std::uint32_t action : {kAllow, kDeny}) {
    const auto filter = filter_of(image_of(action, kMaskedMode, entries));
    for (const auto& each : cases) {
      const bool admitted = each.matched == (action == kAllow);
      EXPECT_EQ(filter->explain(each.event), (FilterVerdict{admitted, each.reason, each.entry}))
          << std::hex << each.event.event << " " << unsigned{each.event.unit_mask};
    }
  }
}

TEST(EventFilterReason, EntriesAreCountedAsInTheImageDroppedOnesToo) {
  const auto filter = filter_of(image_of(kAllow, kLegacyMode, {~0ULL, 1 << 16, 0xc0, 0xc0}));
  EXPECT_EQ(filter->explain({0xc0, 0}), (FilterVerdict{true, Reason::kIncluded, 2}));
}

TEST(EventFilterReason, AgreesWithTheDecisionForEverySelector) {
  const Entries entries{include(0xd0, 0x7c, 0), exclude(0xd0, 0x81, 0x81),
                        include(0xd1, 0xf0, 0x20), include(0xd1, 0x0f, 0x02),
                        exclude(0xd1, 0xff, 0x22)};
  for (const std::uint32_t action : {kAllow, kDeny}) {
    const auto filter = filter_of(image_of(action, kMaskedMode, entries));
    for (unsigned selector = 0; selector < 0x10000; ++selector) {
      const EventSelector event{static_cast<std::uint16_t>(selector & 0xff),
                                static_cast<std::uint8_t>(selector >> 8)};
      const FilterVerdict verdict = filter->explain(event);
      ASSERT_EQ(verdict.admitted, filter->admits(event));
      ASSERT_EQ(verdict.admitted, (verdict.reason == Reason::kIncluded) == (action == kAllow));
    }
  }
}

// ---- KVM's pmu_event_filter_test ----------------------------------------------------------------

/// Cycles, instructions, reference cycles, last-level cache references and misses, branches of
/// Intel, mispredicted ones, top-down slots, branches of AMD.
const Entries kBaseList{0x003c, 0x00c0, 0x013c, 0x4f2e, 0x412e, 0x00c4, 0x00c5, 0x01a4, 0x00c2};
const Entries kWithoutTheCounted{0x003c, 0x013c, 0x4f2e, 0x412e, 0x00c5, 0x01a4};

constexpr EventSelector kInstructions{0xc0, 0};
constexpr EventSelector branches(Vendor vendor) {
  return vendor == Vendor::kIntel ? EventSelector{0xc4, 0} : EventSelector{0xc2, 0};
}

TEST(KvmEventFilterTest, Vectors2To6BranchesAndInstructions) {
  const struct {
    int vector;
    std::uint32_t action;
    Entries entries;
    bool counts;
  } cases[] = {
      {2, kDeny, {0x1'0000'00c2}, true},      {3, kDeny, kBaseList, false},
      {4, kAllow, kBaseList, true},           {5, kDeny, kWithoutTheCounted, true},
      {6, kAllow, kWithoutTheCounted, false},
  };
  for (const Vendor vendor : kVendors) {
    for (const auto& each : cases) {
      const auto filter = filter_of(image_of(each.action, kLegacyMode, each.entries), vendor);
      EXPECT_EQ(filter->admits(branches(vendor)), each.counts) << each.vector << name(vendor);
      EXPECT_EQ(filter->admits(kInstructions), each.counts) << each.vector << name(vendor);
    }
  }
}

/// Loads, stores and both at once, on either vendor.
struct MemoryEvents {
  EventSelector loads, stores, both;
};
constexpr MemoryEvents memory_events(Vendor vendor) {
  if (vendor == Vendor::kIntel) return {{0xd0, 0x81}, {0xd0, 0x82}, {0xd0, 0x83}};
  return {{0x29, 1}, {0x29, 2}, {0x29, 4}};
}

Entries with_dummies(const Entries& entries) {
  Entries all;
  for (unsigned i = 0; i < 290; ++i) {
    std::uint64_t event = i % 0xff;
    if (event == 0xd0 || event == 0x29) ++event;
    all.push_back(event | (i % 4 == 0 ? 1ULL << 55 : 0));
  }
  all.insert(all.end(), entries.begin(), entries.end());
  return all;
}

TEST(KvmEventFilterTest, Vectors7To13LoadsAndStoresAloneAndBehind290Others) {
  const struct {
    int vector;
    Entries intel, amd;
    bool loads, stores, both;
  } cases[] = {
      {7, {0xFF000000000081D0}, {0xFF00000000000129}, true, false, false},
      {8, {0xFF000000000082D0}, {0xFF00000000000229}, false, true, false},
      {9, {0xFF000000000083D0}, {0xFF00000000000429}, false, false, true},
      {10, {0x7C000000000000D0, 0xFF800000000083D0}, {0xFC00000000000029}, true, true, false},
      {11,
       {0x7C000000000000D0, 0xFF800000000082D0},
       {0xF800000000000029, 0xFF80000000000229},
       true,
       false,
       true},
      {12, {0xFE000000000082D0}, {0xF800000000000029, 0xFF80000000000129}, false, true, true},
      {13, {0x7C000000000000D0}, {0xF800000000000029}, true, true, true},
  };
  for (const Vendor vendor : kVendors) {
    const MemoryEvents events = memory_events(vendor);
    for (const auto& each : cases) {
      const Entries& alone = vendor == Vendor::kIntel ? each.intel : each.amd;
      for (const Entries& entries : {alone, with_dummies(alone)}) {
        const auto filter = filter_of(image_of(kAllow, kMaskedMode, entries), vendor);
        EXPECT_EQ(filter->admits(events.loads), each.loads) << each.vector << name(vendor);
        EXPECT_EQ(filter->admits(events.stores), each.stores) << each.vector << name(vendor);
        EXPECT_EQ(filter->admits(events.both), each.both) << each.vector << name(vendor);
      }
    }
  }
}

TEST(KvmEventFilterTest, Vectors14To20WhatTheIoctlTakes) {
  constexpr std::uint32_t kFixedCounters = 3;
  FilterImage too_many = image_of(kAllow, kLegacyMode, {});
  too_many.count = 301;
  const struct {
    int vector;
    FilterImage image;
    std::optional<FilterRefusal> refusal;
  } cases[] = {
      {14, image_of(kAllow, kLegacyMode, {0xFFFFFFFFFFFFFFFF}), std::nullopt},
      {15, image_of(kAllow, kMaskedMode, {0xFFFFFFFFFFFFFFFF}),
       FilterRefusal{FilterError::kReservedBits}},
      {16, image_of(kAllow, kMaskedMode, {0xFF8000000000FFFF}), std::nullopt},
      {17, image_of(2, kLegacyMode, {}), FilterRefusal{FilterError::kAction}},
      {18, image_of(kAllow, 2, {}), FilterRefusal{FilterError::kFlags}},
      {19, too_many, FilterRefusal{FilterError::kTooManyEntries}},
      {20, image_of(kAllow, kLegacyMode, {}, ~0U << kFixedCounters), std::nullopt},
  };
  for (const Vendor vendor : kVendors) {
    for (const auto& each : cases) {
      const auto filter = EventFilter::create(each.image, vendor);
      ASSERT_EQ(filter.has_value(), !each.refusal) << each.vector << name(vendor);
      if (filter) continue;
      EXPECT_EQ(filter.error(), *each.refusal) << each.vector << name(vendor);
    }
  }
}

TEST(KvmEventFilterTest, Vectors21To24FixedCounters) {
  constexpr unsigned kFixedCounters = 3;
  const struct {
    int vector;
    std::uint32_t action;
    Entries entries;
  } cases[] = {{21, kAllow, {}}, {22, kDeny, {}}, {23, kAllow, kBaseList}, {24, kDeny, kBaseList}};
  for (const auto& each : cases) {
    for (unsigned i = 0; i < 1U << kFixedCounters; ++i) {
      const std::uint32_t bitmap = 1U << i;
      const auto filter = filter_of(image_of(each.action, kLegacyMode, each.entries, bitmap));
      for (unsigned k = 0; k < kFixedCounters; ++k) {
        const bool named = (bitmap >> k & 1) != 0;
        EXPECT_EQ(filter->admits_fixed(k), named == (each.action == kAllow))
            << each.vector << ": " << bitmap << ", " << k;
      }
    }
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
