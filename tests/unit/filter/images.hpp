// SPDX-License-Identifier: MIT
//
// Filters for tests, made of what their entries say.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <random>
#include <vector>

#include "cli/filter/loaded_filter.hpp"
#include "policy/filter_file.hpp"
#include "vpmu/virt/x86/event_filter.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::test {

using silicon::x86::Vendor;
using virt::x86::FilterAction;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

inline FilterImage masked_image(FilterAction action, const std::vector<MaskedEvent>& events,
                                std::uint32_t fixed_bitmap = 0) {
  FilterImage image;
  image.action = static_cast<std::uint32_t>(action);
  image.flags = FilterImage::kMaskedEvents;
  image.fixed_bitmap = fixed_bitmap;
  for (const MaskedEvent& event : events) {
    image.entries[image.count++] = virt::x86::encode_entry(event).raw;
  }
  return image;
}

inline FilterImage legacy_image(FilterAction action, const std::vector<std::uint64_t>& entries) {
  FilterImage image;
  image.action = static_cast<std::uint32_t>(action);
  for (const std::uint64_t entry : entries) image.entries[image.count++] = entry;
  return image;
}

/// What `vpmu filter build` would have written.
inline policy::FilterFile file_of(const FilterImage& image, std::string name = "f") {
  std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> bytes;
  const auto size = static_cast<std::ptrdiff_t>(write_filter_image(image, bytes));
  return {std::move(name), {bytes.begin(), bytes.begin() + size}, {}, {}};
}

inline cli::filter::LoadedFilter loaded(const FilterImage& image,
                                        const char* cpu = "icelake-server") {
  const auto catalogue = policy::EventCatalogue::of(cpu);
  EXPECT_TRUE(catalogue);
  auto filter = virt::x86::EventFilter::create(image, (*catalogue)->vendor());
  EXPECT_TRUE(filter);
  return {"f", *catalogue, std::move(*filter)};
}

/// Up to 40 entries on a few event selects, so that they meet.
inline FilterImage random_image(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  FilterImage image;
  image.action = static_cast<std::uint32_t>(below(2));
  image.flags = below(4) != 0;
  image.count = static_cast<std::uint32_t>(below(40));
  for (std::uint32_t i = 0; i < image.count; ++i) {
    MaskedEvent event;
    event.event = static_cast<std::uint16_t>(below(6) + (below(8) == 0 ? 0x100 : 0));
    event.mask = static_cast<std::uint8_t>(random() | random());
    // Seldom outside the mask.
    event.match = static_cast<std::uint8_t>(random() & (below(10) == 0 ? 0xff : event.mask));
    event.exclude = below(3) == 0;
    if (!image.masked()) event.exclude = false;
    if (!image.masked()) event.mask = below(8) == 0;  // bits that no legacy entry has
    image.entries[i] = encode_entry(event).raw;
  }
  return image;
}

}  // namespace vpmu::test
