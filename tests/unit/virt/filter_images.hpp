// SPDX-License-Identifier: MIT
//
// Event filters for tests, in a line each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::virt::x86 {

inline constexpr std::uint32_t kAllow = 0, kDeny = 1;
inline constexpr std::uint32_t kLegacyMode = 0, kMaskedMode = FilterImage::kMaskedEvents;

/// At most as many entries as an image has room for.
inline FilterImage image_of(std::uint32_t action, std::uint32_t flags,
                            const std::vector<std::uint64_t>& entries,
                            std::uint32_t fixed_bitmap = 0) {
  FilterImage image;
  image.action = action;
  image.count = static_cast<std::uint32_t>(entries.size());
  image.fixed_bitmap = fixed_bitmap;
  image.flags = flags;
  std::copy(entries.begin(), entries.end(), image.entries.begin());
  return image;
}

/// Of an image that is valid.
inline std::unique_ptr<const EventFilter> filter_of(
    const FilterImage& image, silicon::x86::Vendor vendor = silicon::x86::Vendor::kIntel) {
  auto filter = EventFilter::create(image, vendor);
  EXPECT_TRUE(filter.has_value());
  return filter ? std::move(*filter) : nullptr;
}

inline std::uint64_t include(std::uint16_t event, std::uint8_t mask, std::uint8_t match) {
  return encode_entry({event, mask, match, false}).raw;
}
inline std::uint64_t exclude(std::uint16_t event, std::uint8_t mask, std::uint8_t match) {
  return encode_entry({event, mask, match, true}).raw;
}

}  // namespace vpmu::virt::x86
