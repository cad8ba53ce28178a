// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/event_filter.hpp"

#include <new>

namespace vpmu::virt::x86 {

namespace {
using silicon::x86::EventSelector;
using silicon::x86::Vendor;

using UnitMasks = std::array<std::uint64_t, 4>;

/// In a set of the numbers 0 to 63: those with bit n set.
constexpr std::array<std::uint64_t, 6> kWithBit = {0xaaaa'aaaa'aaaa'aaaa, 0xcccc'cccc'cccc'cccc,
                                                   0xf0f0'f0f0'f0f0'f0f0, 0xff00'ff00'ff00'ff00,
                                                   0xffff'0000'ffff'0000, 0xffff'ffff'0000'0000};

/// All u with `(u & mask) == match`. Bits 5:0 of u select the bit of a word, bits 7:6 the word.
UnitMasks unit_masks_of(MaskedEvent event) {
  UnitMasks set{};
  if (event.is_dead()) return set;
  std::uint64_t word = ~std::uint64_t{0};
  for (unsigned n = 0; n < kWithBit.size(); ++n) {
    if ((event.mask >> n & 1) == 0) continue;
    word &= (event.match >> n & 1) != 0 ? kWithBit[n] : ~kWithBit[n];
  }
  for (unsigned high = 0; high < set.size(); ++high) {
    if (((high << 6U) & event.mask) == (event.match & 0xc0U)) set[high] = word;
  }
  return set;
}
}  // namespace

const char* name(FilterVerdict::Reason reason) {
  switch (reason) {
    case FilterVerdict::Reason::kIncluded: return "included";
    case FilterVerdict::Reason::kExcluded: return "excluded";
    case FilterVerdict::Reason::kNotIncluded: return "not included";
    case FilterVerdict::Reason::kFixedBitmap: return "fixed counter bitmap";
  }
  return "?";
}

tl::expected<std::unique_ptr<const EventFilter>, FilterRefusal> EventFilter::create(
    const FilterImage& image, Vendor vendor) {
  if (const auto checked = check_filter_image(image, vendor); !checked) {
    return tl::unexpected<FilterRefusal>(checked.error());
  }
  // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): make_unique knows neither nothrow nor us
  std::unique_ptr<const EventFilter> filter{new (std::nothrow) EventFilter{image, vendor}};
  if (filter == nullptr) {
    return tl::unexpected<FilterRefusal>(FilterRefusal{FilterError::kNoMemory});
  }
  return filter;
}

EventFilter::EventFilter(const FilterImage& image, Vendor vendor)
    : image_{image},
      vendor_{vendor},
      event_mask_{vendor == Vendor::kIntel ? std::uint16_t{0xff} : std::uint16_t{0xfff}} {
  build();
}

void EventFilter::build() {
  const bool allow = !image_.denies();
  fixed_ = allow ? image_.fixed_bitmap : ~image_.fixed_bitmap;

  std::uint16_t last = kOtherEvents;
  std::array<UnitMasks, FilterImage::kMaxEntries + 1> excluded;
  rows_[kOtherEvents] = {};
  excluded[kOtherEvents] = {};
  for (std::uint32_t i = 0; i < image_.count; ++i) {
    const auto event = entry(i);
    if (!event) continue;
    std::uint16_t& row = row_of_[event->event];
    if (row == kOtherEvents) {
      row = ++last;
      rows_[row] = {};
      excluded[row] = {};
    }
    UnitMasks& into = event->exclude ? excluded[row] : rows_[row];
    const UnitMasks covered = unit_masks_of(*event);
    for (std::size_t word = 0; word < covered.size(); ++word) into[word] |= covered[word];
  }
  for (std::uint16_t row = 0; row <= last; ++row) {
    for (std::size_t word = 0; word < rows_[row].size(); ++word) {
      const std::uint64_t matched = rows_[row][word] & ~excluded[row][word];
      rows_[row][word] = allow ? matched : ~matched;
    }
  }
}

FilterVerdict EventFilter::explain(EventSelector selector) const {
  const auto event = static_cast<std::uint16_t>(selector.event & event_mask_);
  std::optional<std::uint32_t> include;
  std::optional<std::uint32_t> exclude;
  for (std::uint32_t i = 0; i < image_.count; ++i) {
    const auto said = entry(i);
    if (!said || said->event != event || !said->covers(selector.unit_mask)) continue;
    std::optional<std::uint32_t>& first = said->exclude ? exclude : include;
    if (!first) first = i;
  }
  using Reason = FilterVerdict::Reason;
  const bool admitted = admits(selector);
  if (!include) return {admitted, Reason::kNotIncluded, 0};
  if (exclude) return {admitted, Reason::kExcluded, *exclude};
  return {admitted, Reason::kIncluded, *include};
}

FilterVerdict EventFilter::explain_fixed(unsigned k) const {
  return {admits_fixed(k), FilterVerdict::Reason::kFixedBitmap, 0};
}

}  // namespace vpmu::virt::x86
