// SPDX-License-Identifier: MIT
#include "property/filter_lockstep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "property/reference_filter.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::property {

namespace {

using silicon::x86::EventSelector;
using virt::x86::EventFilter;
using virt::x86::FilterError;
using virt::x86::FilterImage;
using virt::x86::FilterVerdict;
using Reason = FilterVerdict::Reason;

/// Of a filter of many entries, about so many are asked for what they name.
constexpr std::size_t kOwnEvents = 32;

/// As explain() is to answer.
FilterVerdict expected_verdict(const ReferenceFilter& reference, EventSelector asked) {
  const auto [admitted, include, exclude] = reference.decide(asked.event, asked.unit_mask);
  if (!include) return {admitted, Reason::kNotIncluded, 0};
  if (exclude) return {admitted, Reason::kExcluded, static_cast<std::uint32_t>(*exclude)};
  return {admitted, Reason::kIncluded, static_cast<std::uint32_t>(*include)};
}

std::optional<std::string> compare_decision(const EventFilter& filter,
                                            const ReferenceFilter& reference, EventSelector asked) {
  const FilterVerdict expected = expected_verdict(reference, asked);
  if (filter.admits(asked) != expected.admitted) {
    return fmt::format("event {:#x} unit mask {:#x}: {}, expected the contrary", asked.event,
                       asked.unit_mask, expected.admitted ? "denied" : "admitted");
  }
  const FilterVerdict said = filter.explain(asked);
  if (said == expected) return {};
  return fmt::format("event {:#x} unit mask {:#x}: reason {} of entry {}, expected {} of {}",
                     asked.event, asked.unit_mask, static_cast<int>(said.reason), said.entry,
                     static_cast<int>(expected.reason), expected.entry);
}

std::optional<std::string> compare_fixed(const EventFilter& filter,
                                         const ReferenceFilter& reference) {
  for (unsigned k = 0; k < 32; ++k) {
    if (filter.admits_fixed(k) != reference.admits_fixed(k)) {
      return fmt::format("fixed counter {}: expected the contrary", k);
    }
  }
  return {};
}

/// The structure again, but for its padding.
std::optional<std::string> compare_written(const FilterImage& image,
                                           std::span<const std::uint8_t> bytes) {
  std::array<std::byte, FilterImage::kHeaderBytes + 8 * FilterImage::kMaxEntries> written;
  const std::size_t size = write_filter_image(image, written);
  if (size > bytes.size()) return fmt::format("{} bytes are written back", size);
  for (std::size_t i = 0; i < size; ++i) {
    const bool padding = i >= 16 && i < 32;
    if (written[i] != std::byte{padding ? std::uint8_t{0} : bytes[i]}) {
      return fmt::format("byte {} is another when it is written back", i);
    }
  }
  return {};
}

std::optional<std::string> compare_error(virt::x86::FilterRefusal refusal,
                                         const ReferenceFilter& reference) {
  const int error = virt::x86::errno_of(refusal.error);
  if (error != reference.error()) {
    return fmt::format("errno {}, expected {}", error, reference.error());
  }
  const bool names_entry = refusal.error == FilterError::kReservedBits;
  if (names_entry != reference.bad_entry().has_value() ||
      (names_entry && refusal.entry != *reference.bad_entry())) {
    return fmt::format("entry {} is named", refusal.entry);
  }
  return {};
}

}  // namespace

std::optional<std::string> compare_filter(std::span<const std::uint8_t> bytes, bool amd,
                                          const std::vector<EventSelector>& selectors) {
  const auto vendor = amd ? silicon::x86::Vendor::kAmd : silicon::x86::Vendor::kIntel;
  const ReferenceFilter reference{bytes, amd};
  const auto image = virt::x86::read_filter_image(std::as_bytes(bytes), vendor);
  if (!image) return compare_error(image.error(), reference);
  if (reference.error() != 0) return fmt::format("taken, expected errno {}", reference.error());
  const auto filter = EventFilter::create(*image, vendor);
  if (!filter) return "an image that was taken makes no filter";

  if (auto difference = compare_written(*image, bytes)) return difference;
  if (auto difference = compare_fixed(**filter, reference)) return difference;
  for (const EventSelector asked : selectors) {
    if (auto difference = compare_decision(**filter, reference, asked)) return difference;
  }
  const std::size_t step = 1 + reference.entries() / kOwnEvents;
  for (std::size_t i = 0; i < reference.entries(); i += step) {
    const EventSelector asked{static_cast<std::uint16_t>(reference.event_of(i)),
                              static_cast<std::uint8_t>(reference.match_of(i))};
    if (auto difference = compare_decision(**filter, reference, asked)) return difference;
  }
  return {};
}

}  // namespace vpmu::property
