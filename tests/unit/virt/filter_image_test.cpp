// SPDX-License-Identifier: MIT
//
// The structure of KVM_SET_PMU_EVENT_FILTER: what is refused, in which order and with which errno,
// how often its memory is looked at, and what an entry means.
#include "vpmu/virt/x86/filter_image.hpp"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "unit/virt/filter_images.hpp"

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::Vendor;

using Bytes = std::vector<std::byte>;

constexpr Vendor kVendors[] = {Vendor::kIntel, Vendor::kAmd};

void append(Bytes& bytes, std::uint64_t value, unsigned count) {
  for (unsigned i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
}

/// Written from the layout, not by write_filter_image(). `count` need not be that of `entries`.
Bytes structure(std::uint32_t action, std::uint32_t count, std::uint32_t fixed_bitmap,
                std::uint32_t flags, const std::vector<std::uint64_t>& entries,
                std::uint8_t padding = 0) {
  Bytes bytes;
  for (const std::uint32_t field : {action, count, fixed_bitmap, flags}) append(bytes, field, 4);
  bytes.resize(32, std::byte{padding});
  for (const std::uint64_t entry : entries) append(bytes, entry, 8);
  return bytes;
}

FilterError error_of(const Bytes& bytes, Vendor vendor = Vendor::kIntel) {
  const auto image = read_filter_image(bytes, vendor);
  EXPECT_FALSE(image.has_value());
  return image ? FilterError::kNoMemory : image.error().error;
}

/// Memory that somebody else writes between any two reads.
class ChangingSource final : public FilterSource {
 public:
  struct Read {
    std::size_t offset;
    std::size_t size;
    friend bool operator==(const Read&, const Read&) = default;
  };
  /// What the n-th read sees; the last one stays.
  explicit ChangingSource(std::vector<Bytes> versions) : versions_{std::move(versions)} {}

  bool copy(std::size_t offset, std::span<std::byte> to) override {
    const Bytes& now = versions_[std::min(reads.size(), versions_.size() - 1)];
    reads.push_back({offset, to.size()});
    if (offset > now.size() || to.size() > now.size() - offset) return false;
    std::memcpy(to.data(), now.data() + offset, to.size());
    return true;
  }

  std::vector<Read> reads;

 private:
  std::vector<Bytes> versions_;
};
using Reads = std::vector<ChangingSource::Read>;

// ---- What is refused ----------------------------------------------------------------------------

TEST(FilterImageErrors, EachHasTheErrnoOfTheIoctl) {
  EXPECT_EQ(errno_of(FilterError::kHeaderUnreadable), EFAULT);
  EXPECT_EQ(errno_of(FilterError::kAction), EINVAL);
  EXPECT_EQ(errno_of(FilterError::kFlags), EINVAL);
  EXPECT_EQ(errno_of(FilterError::kTooManyEntries), E2BIG);
  EXPECT_EQ(errno_of(FilterError::kNoMemory), ENOMEM);
  EXPECT_EQ(errno_of(FilterError::kEntriesUnreadable), EFAULT);
  EXPECT_EQ(errno_of(FilterError::kReservedBits), EINVAL);
}

// Everything is wrong at first; then one fault after the other is mended, in the order of the
// checks, and each time the next one shows.
TEST(FilterImageErrors, OfSeveralFaultsTheFirstCheckDecides) {
  constexpr std::uint64_t kBad = 1 << 16;
  const Bytes everything = structure(2, 301, 0, 3, {});
  const struct {
    Bytes bytes;
    FilterError error;
  } cases[] = {
      {Bytes(everything.begin(), everything.begin() + 31), FilterError::kHeaderUnreadable},
      {everything, FilterError::kAction},
      {structure(1, 301, 0, 3, {}), FilterError::kFlags},
      {structure(1, 301, 0, 1, {}), FilterError::kTooManyEntries},
      {structure(1, 2, 0, 1, {kBad}), FilterError::kEntriesUnreadable},
      {structure(1, 2, 0, 1, {kBad, 0}), FilterError::kReservedBits},
  };
  for (const Vendor vendor : kVendors) {
    for (const auto& each : cases) EXPECT_EQ(error_of(each.bytes, vendor), each.error);
    EXPECT_TRUE(read_filter_image(structure(1, 2, 0, 1, {0, 0}), vendor).has_value());
  }
}

TEST(FilterImageErrors, ActionIsAllowOrDeny) {
  EXPECT_TRUE(read_filter_image(structure(0, 0, 0, 0, {}), Vendor::kIntel).has_value());
  EXPECT_TRUE(read_filter_image(structure(1, 0, 0, 0, {}), Vendor::kIntel).has_value());
  for (const std::uint32_t action : {2U, 3U, 0x100U, 0x8000'0000U, ~0U}) {
    EXPECT_EQ(error_of(structure(action, 0, 0, 0, {})), FilterError::kAction) << action;
  }
}

TEST(FilterImageErrors, EveryFlagButTheFirstIsUnknown) {
  for (unsigned bit = 1; bit < 32; ++bit) {
    EXPECT_EQ(error_of(structure(0, 0, 0, 1U << bit, {})), FilterError::kFlags) << bit;
    EXPECT_EQ(error_of(structure(0, 0, 0, 1U << bit | 1, {})), FilterError::kFlags) << bit;
  }
}

TEST(FilterImageErrors, ThreeHundredEntriesAreEnough) {
  const std::vector<std::uint64_t> entries(300, 0xc0);
  EXPECT_TRUE(read_filter_image(structure(0, 300, 0, 0, entries), Vendor::kIntel).has_value());
  for (const std::uint32_t count : {301U, 0x1000'0000U, 0x2000'0000U, ~0U}) {
    EXPECT_EQ(error_of(structure(0, count, 0, 0, entries)), FilterError::kTooManyEntries) << count;
  }
}

TEST(FilterImageErrors, AnyPlaceWhereTheMemoryEndsIsUnreadable) {
  const Bytes whole = structure(0, 3, 0, 1, {1, 2, 3});
  ASSERT_EQ(whole.size(), 56u);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(error_of(part),
              size < 32 ? FilterError::kHeaderUnreadable : FilterError::kEntriesUnreadable)
        << size;
  }
  Bytes longer = whole;
  longer.push_back(std::byte{0xff});
  EXPECT_TRUE(read_filter_image(longer, Vendor::kIntel).has_value()) << "what follows is not its";
}

TEST(FilterImageErrors, ReservedBitsAreThoseOfTheVendor) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t entry = std::uint64_t{1} << bit;
    const bool both = bit < 16 || bit >= 55;
    const bool amd = both || (bit >= 32 && bit < 36);
    const Bytes bytes = structure(0, 1, 0, kMaskedMode, {entry});
    EXPECT_EQ(read_filter_image(bytes, Vendor::kIntel).has_value(), both) << bit;
    EXPECT_EQ(read_filter_image(bytes, Vendor::kAmd).has_value(), amd) << bit;
  }
}

TEST(FilterImageErrors, FirstEntryWithReservedBitsIsNamed) {
  std::vector<std::uint64_t> entries(300, 0xc0);
  for (const std::uint32_t first : {299U, 150U, 0U}) {
    entries[first] |= 1 << 20;
    const auto image = read_filter_image(structure(0, 300, 0, kMaskedMode, entries), Vendor::kAmd);
    ASSERT_FALSE(image.has_value());
    EXPECT_EQ(image.error(), (FilterRefusal{FilterError::kReservedBits, first}));
  }
}

TEST(FilterImageErrors, LegacyEntriesAreNeverRefused) {
  EXPECT_TRUE(read_filter_image(structure(0, 2, 0, kLegacyMode, {~0ULL, 1 << 16}), Vendor::kIntel)
                  .has_value());
}

TEST(FilterImageErrors, ImageMadeByHandIsCheckedAlike) {
  const auto error = [](const FilterImage& image) {
    const auto checked = check_filter_image(image, Vendor::kIntel);
    return checked ? FilterRefusal{FilterError::kNoMemory} : checked.error();
  };
  FilterImage image = image_of(kAllow, kMaskedMode, {0xc0, 0x1'0000'00c0});
  EXPECT_EQ(error(image), (FilterRefusal{FilterError::kReservedBits, 1}));
  image.count = 301;
  EXPECT_EQ(error(image), FilterRefusal{FilterError::kTooManyEntries});
  image.flags = 2;
  EXPECT_EQ(error(image), FilterRefusal{FilterError::kFlags});
  image.action = 2;
  EXPECT_EQ(error(image), FilterRefusal{FilterError::kAction});
  EXPECT_TRUE(
      check_filter_image(image_of(kDeny, kLegacyMode, {~0ULL}), Vendor::kIntel).has_value());
  EXPECT_EQ(image.used().size(), 300u) << "of 301 there can be 300";
}

// ---- Fetching -----------------------------------------------------------------------------------

TEST(FilterImageFetch, HeaderOnceAndThenItsEntriesOnce) {
  ChangingSource source{{structure(0, 3, 0, kMaskedMode, {1, 2, 3, 4})}};
  ASSERT_TRUE(read_filter_image(source, Vendor::kIntel).has_value());
  EXPECT_EQ(source.reads, (Reads{{0, 32}, {32, 24}}));
}

TEST(FilterImageFetch, WithoutEntriesOnlyTheHeader) {
  ChangingSource source{{structure(1, 0, 0, 0, {})}};
  ASSERT_TRUE(read_filter_image(source, Vendor::kIntel).has_value());
  EXPECT_EQ(source.reads, (Reads{{0, 32}}));
}

TEST(FilterImageFetch, BadHeaderIsNotReadAgainAndItsEntriesNever) {
  for (const Bytes& header : {structure(2, 1, 0, 0, {0}), structure(0, 1, 0, 2, {0}),
                              structure(0, 301, 0, 0, std::vector<std::uint64_t>(301, 0))}) {
    ChangingSource source{{header, structure(0, 1, 0, 0, {0})}};
    EXPECT_FALSE(read_filter_image(source, Vendor::kIntel).has_value());
    EXPECT_EQ(source.reads, (Reads{{0, 32}}));
  }
}

// Between the two reads everything changes: number, action, flags, bitmap and entries. What counts
// is the first header and the second version's entries, as many as the first header said.
TEST(FilterImageFetch, HeaderThatChangesMeanwhileIsNotSeen) {
  const std::vector<std::uint64_t> many(301, ~0ULL);
  ChangingSource source{{structure(kAllow, 2, 5, kMaskedMode, {0xc0, 0xc4}),
                         structure(7, 301, 0xffff, 6, many), structure(9, 0, 0, 9, {})}};
  const auto image = read_filter_image(source, Vendor::kIntel);
  ASSERT_FALSE(image.has_value()) << "the new entries are not valid by the old flags";
  EXPECT_EQ(image.error(), (FilterRefusal{FilterError::kReservedBits, 0}));
  EXPECT_EQ(source.reads, (Reads{{0, 32}, {32, 16}}));
}

TEST(FilterImageFetch, EntriesAreThoseThatWereCheckedWhateverComesLater) {
  ChangingSource source{{structure(kDeny, 2, 5, kMaskedMode, {0xc0, 0xc4}),
                         structure(kAllow, 300, 9, kLegacyMode, {0x3c, 0xc5, 0xc6}),
                         structure(kAllow, 1, 9, kMaskedMode, {~0ULL})}};
  const auto image = read_filter_image(source, Vendor::kIntel);
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->action, kDeny);
  EXPECT_EQ(image->count, 2u);
  EXPECT_EQ(image->fixed_bitmap, 5u);
  EXPECT_EQ(image->flags, kMaskedMode);
  EXPECT_EQ(image->entries[0], 0x3cu);
  EXPECT_EQ(image->entries[1], 0xc5u);
  EXPECT_EQ(image->entries[2], 0u) << "only as many as the header said";
  EXPECT_EQ(source.reads, (Reads{{0, 32}, {32, 16}}));
}

// ---- Bytes --------------------------------------------------------------------------------------

TEST(FilterImageBytes, FieldsAreWhereTheStructureHasThem) {
  const Bytes bytes = structure(1, 2, 0x8000'0007, 1, {0xff80'0000'0000'81d0, 0x3c}, 0xee);
  const auto image = read_filter_image(bytes, Vendor::kIntel);
  ASSERT_TRUE(image.has_value()) << "padding does not matter";
  EXPECT_EQ(image->action, 1u);
  EXPECT_EQ(image->count, 2u);
  EXPECT_EQ(image->fixed_bitmap, 0x8000'0007u);
  EXPECT_TRUE(image->masked());
  EXPECT_EQ(image->used().size(), 2u);
  EXPECT_EQ(image->used()[0], 0xff80'0000'0000'81d0u);
  EXPECT_EQ(image->used()[1], 0x3cu);
}

TEST(FilterImageBytes, WhatIsWrittenIsWhatTheStructureLooksLike) {
  std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> bytes;
  bytes.fill(std::byte{0xee});
  const std::vector<std::uint64_t> entries{0xff80'0000'0000'81d0, 0x3c};
  const std::size_t size = write_filter_image(image_of(kDeny, kMaskedMode, entries, 5), bytes);
  EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)),
            structure(kDeny, 2, 5, kMaskedMode, entries));
}

TEST(FilterImageBytes, WrittenAndReadTheyAreTheSame) {
  for (const std::uint32_t count : {0U, 1U, 299U, 300U}) {
    std::vector<std::uint64_t> entries;
    for (std::uint32_t i = 0; i < count; ++i) {
      entries.push_back(include(static_cast<std::uint16_t>(i & 0xff), 0xf0, 0x30));
    }
    const FilterImage image = image_of(kAllow, kMaskedMode, entries, ~0U);
    std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> bytes;
    const std::size_t size = write_filter_image(image, bytes);
    EXPECT_EQ(size, 32 + 8 * count);
    const auto read = read_filter_image(std::span{bytes}.first(size), Vendor::kIntel);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->action, image.action);
    EXPECT_EQ(read->count, count);
    EXPECT_EQ(read->fixed_bitmap, image.fixed_bitmap);
    EXPECT_EQ(read->flags, image.flags);
    EXPECT_EQ(read->entries, image.entries);
  }
}

// ---- Entries ------------------------------------------------------------------------------------

TEST(FilterEntries, MaskedEntryOfIntel) {
  const auto event = decode_entry(FilterEntry{{0x7c80'0000'0000'83d0}}, true, Vendor::kIntel);
  EXPECT_EQ(event, (MaskedEvent{.event = 0xd0, .mask = 0x7c, .match = 0x83, .exclude = true}));
}

TEST(FilterEntries, MaskedEntryOfAmdHasTwelveBitsOfEventSelect) {
  const auto event = decode_entry(FilterEntry{{0xf800'0005'0000'0029}}, true, Vendor::kAmd);
  EXPECT_EQ(event, (MaskedEvent{.event = 0x529, .mask = 0xf8, .match = 0, .exclude = false}));
}

TEST(FilterEntries, LegacyEntryIsOneUnitMask) {
  EXPECT_EQ(decode_entry(FilterEntry{{0x412e}}, false, Vendor::kIntel),
            (MaskedEvent{.event = 0x2e, .mask = 0xff, .match = 0x41, .exclude = false}));
  EXPECT_EQ(decode_entry(FilterEntry{{0x1'0000'00c2}}, false, Vendor::kAmd),
            (MaskedEvent{.event = 0x1c2, .mask = 0xff, .match = 0, .exclude = false}));
}

TEST(FilterEntries, LegacyEntryWithAnyOtherBitIsDropped) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const FilterEntry entry{{0xc0 | std::uint64_t{1} << bit}};
    EXPECT_EQ(decode_entry(entry, false, Vendor::kIntel).has_value(), bit < 16) << bit;
    EXPECT_EQ(decode_entry(entry, false, Vendor::kAmd).has_value(),
              bit < 16 || (bit >= 32 && bit < 36))
        << bit;
  }
}

TEST(FilterEntries, WhatIsEncodedIsDecoded) {
  for (const Vendor vendor : kVendors) {
    const std::uint16_t most = vendor == Vendor::kIntel ? 0xff : 0xfff;
    for (std::uint32_t event = 0; event <= most; ++event) {
      const MaskedEvent masked{.event = static_cast<std::uint16_t>(event),
                               .mask = static_cast<std::uint8_t>(event * 7),
                               .match = static_cast<std::uint8_t>(event * 13),
                               .exclude = event % 3 == 0};
      const FilterEntry entry = encode_entry(masked);
      const std::uint64_t valid =
          vendor == Vendor::kIntel ? FilterEntry::kValidIntel : FilterEntry::kValidAmd;
      EXPECT_EQ(entry.raw & ~valid, 0u);
      EXPECT_EQ(decode_entry(entry, true, vendor), masked);
    }
  }
}

// The entries of KVM's selftest, as its macro makes them.
TEST(FilterEntries, EncodingIsThatOfTheSelftest) {
  EXPECT_EQ(include(0xd0, 0xff, 0x81), 0xff00'0000'0000'81d0u);
  EXPECT_EQ(include(0xd0, 0x7c, 0x00), 0x7c00'0000'0000'00d0u);
  EXPECT_EQ(exclude(0xd0, 0xff, 0x83), 0xff80'0000'0000'83d0u);
  EXPECT_EQ(exclude(0x29, 0xff, 0x02), 0xff80'0000'0000'0229u);
  EXPECT_EQ(include(0x1c2, 0xff, 0x00), 0xff00'0001'0000'00c2u);
}

TEST(FilterEntries, EntryCoversTheUnitMasksThatMatchUnderItsMask) {
  const MaskedEvent pair{.event = 0xd0, .mask = 0xfe, .match = 0x82};
  const MaskedEvent all{.event = 0xd0, .mask = 0, .match = 0};
  const MaskedEvent dead{.event = 0xd0, .mask = 0xf0, .match = 0x81};
  EXPECT_FALSE(pair.is_dead());
  EXPECT_FALSE(all.is_dead());
  EXPECT_TRUE(dead.is_dead());
  for (unsigned u = 0; u < 256; ++u) {
    const auto unit_mask = static_cast<std::uint8_t>(u);
    EXPECT_EQ(pair.covers(unit_mask), u == 0x82 || u == 0x83) << u;
    EXPECT_TRUE(all.covers(unit_mask)) << u;
    EXPECT_FALSE(dead.covers(unit_mask)) << u;
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
