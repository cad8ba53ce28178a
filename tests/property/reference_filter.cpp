// SPDX-License-Identifier: MIT
#include "property/reference_filter.hpp"

#include <cerrno>

namespace vpmu::property {

namespace {

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value += std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

constexpr std::uint64_t kMasked = 1;

}  // namespace

ReferenceFilter::ReferenceFilter(std::span<const std::uint8_t> bytes, bool amd)
    : amd_{amd}, error_{check(bytes)} {}

int ReferenceFilter::check(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 32) return EFAULT;
  action_ = little_endian(bytes.subspan(0, 4));
  const std::uint64_t count = little_endian(bytes.subspan(4, 4));
  bitmap_ = little_endian(bytes.subspan(8, 4));
  flags_ = little_endian(bytes.subspan(12, 4));
  if (action_ != 0 && action_ != 1) return EINVAL;
  if (flags_ != 0 && flags_ != kMasked) return EINVAL;
  if (count > 300) return E2BIG;
  if (bytes.size() < 32 + 8 * count) return EFAULT;
  for (std::size_t i = 0; i < count; ++i) {
    entries_.push_back(little_endian(bytes.subspan(32 + 8 * i, 8)));
  }
  if (flags_ != kMasked) return 0;
  for (std::size_t i = 0; i < count; ++i) {
    // Bits 31:16 and 54:36, and on Intel 35:32.
    const std::uint64_t bad = entries_[i] & (amd_ ? 0x007f'fff0'ffff'0000 : 0x007f'ffff'ffff'0000);
    if (bad == 0) continue;
    bad_entry_ = i;
    return EINVAL;
  }
  return 0;
}

std::uint32_t ReferenceFilter::event_of(std::size_t entry) const {
  const auto low = static_cast<std::uint32_t>(entries_[entry] & 0xff);
  const auto high = static_cast<std::uint32_t>(entries_[entry] >> 32 & 0xf);
  return amd_ ? high * 256 + low : low;
}

bool ReferenceFilter::matches(std::size_t i, bool exclude, std::uint32_t event,
                              std::uint32_t unit_mask) const {
  const std::uint64_t entry = entries_[i];
  if (event_of(i) != event % (amd_ ? 4096 : 256)) return false;
  const std::uint64_t match = entry >> 8 & 0xff;
  if (flags_ == kMasked) {
    return (entry >> 55 & 1) == (exclude ? 1 : 0) && (unit_mask & entry >> 56) == match;
  }
  // An entry with a bit that is in no selector never matches.
  const std::uint64_t selector = amd_ ? 0x0000'000f'0000'ffff : 0xffff;
  return !exclude && (entry & ~selector) == 0 && unit_mask == match;
}

ReferenceFilter::Decision ReferenceFilter::decide(std::uint32_t event,
                                                  std::uint32_t unit_mask) const {
  Decision decision{};
  for (std::size_t i = entries_.size(); i-- > 0;) {
    if (matches(i, false, event, unit_mask)) decision.include = i;
    if (matches(i, true, event, unit_mask)) decision.exclude = i;
  }
  const bool matched = decision.include && !decision.exclude;
  decision.admitted = action_ == 0 ? matched : !matched;
  return decision;
}

bool ReferenceFilter::admits_fixed(unsigned k) const {
  const bool named = (bitmap_ >> k & 1) == 1;
  return action_ == 0 ? named : !named;
}

}  // namespace vpmu::property
