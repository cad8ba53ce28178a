// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/filter_image.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vpmu::virt::x86 {

namespace {
using silicon::x86::Vendor;

template <class Integer>
Integer load(std::span<const std::byte> bytes, std::size_t at) {
  Integer value = 0;
  for (std::size_t i = sizeof(Integer); i-- > 0;) {
    value = static_cast<Integer>(value << 8 | static_cast<Integer>(bytes[at + i]));
  }
  return value;
}

template <class Integer>
void store(std::span<std::byte> bytes, std::size_t at, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

tl::unexpected<FilterRefusal> refuse(FilterError error, std::uint32_t entry = 0) {
  return tl::unexpected<FilterRefusal>(FilterRefusal{error, entry});
}

tl::expected<void, FilterRefusal> check_header(const FilterImage& image) {
  if (image.action > static_cast<std::uint32_t>(FilterAction::kDeny)) {
    return refuse(FilterError::kAction);
  }
  if ((image.flags & ~FilterImage::kMaskedEvents) != 0) return refuse(FilterError::kFlags);
  if (image.count > FilterImage::kMaxEntries) return refuse(FilterError::kTooManyEntries);
  return {};
}

tl::expected<void, FilterRefusal> check_entries(const FilterImage& image, Vendor vendor) {
  if (!image.masked()) return {};
  const std::uint64_t valid = FilterEntry::valid(vendor);
  for (std::uint32_t i = 0; i < image.count; ++i) {
    if ((image.entries[i] & ~valid) != 0) return refuse(FilterError::kReservedBits, i);
  }
  return {};
}

class Bytes final : public FilterSource {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_{bytes} {}
  bool copy(std::size_t offset, std::span<std::byte> to) override {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return false;
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};
}  // namespace

int errno_of(FilterError error) {
  switch (error) {
    case FilterError::kHeaderUnreadable:
    case FilterError::kEntriesUnreadable: return EFAULT;
    case FilterError::kAction:
    case FilterError::kFlags:
    case FilterError::kReservedBits: return EINVAL;
    case FilterError::kTooManyEntries: return E2BIG;
    case FilterError::kNoMemory: return ENOMEM;
  }
  return EINVAL;
}

tl::expected<FilterImage, FilterRefusal> read_filter_image(FilterSource& source, Vendor vendor) {
  std::array<std::byte, FilterImage::kHeaderBytes> header;
  if (!source.copy(0, header)) return refuse(FilterError::kHeaderUnreadable);
  FilterImage image;
  image.action = load<std::uint32_t>(header, FilterImage::kActionAt);
  image.count = load<std::uint32_t>(header, FilterImage::kCountAt);
  image.fixed_bitmap = load<std::uint32_t>(header, FilterImage::kFixedBitmapAt);
  image.flags = load<std::uint32_t>(header, FilterImage::kFlagsAt);
  if (const auto checked = check_header(image); !checked) {
    return tl::unexpected<FilterRefusal>(checked.error());
  }

  std::array<std::byte, 8 * std::size_t{FilterImage::kMaxEntries}> raw;
  const std::span<std::byte> entries = std::span{raw}.first(8 * std::size_t{image.count});
  if (!entries.empty() && !source.copy(FilterImage::kHeaderBytes, entries)) {
    return refuse(FilterError::kEntriesUnreadable);
  }
  for (std::uint32_t i = 0; i < image.count; ++i) {
    image.entries[i] = load<std::uint64_t>(raw, 8 * std::size_t{i});
  }
  if (const auto checked = check_entries(image, vendor); !checked) {
    return tl::unexpected<FilterRefusal>(checked.error());
  }
  return image;
}

tl::expected<FilterImage, FilterRefusal> read_filter_image(std::span<const std::byte> bytes,
                                                           Vendor vendor) {
  Bytes source{bytes};
  return read_filter_image(source, vendor);
}

tl::expected<void, FilterRefusal> check_filter_image(const FilterImage& image, Vendor vendor) {
  if (const auto checked = check_header(image); !checked) return checked;
  return check_entries(image, vendor);
}

std::size_t write_filter_image(const FilterImage& image,
                               std::span<std::byte, std::tuple_size_v<FilterImage::Bytes>> bytes) {
  const auto entries = image.used();
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  store(bytes, FilterImage::kActionAt, image.action);
  store(bytes, FilterImage::kCountAt, image.count);
  store(bytes, FilterImage::kFixedBitmapAt, image.fixed_bitmap);
  store(bytes, FilterImage::kFlagsAt, image.flags);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    store(bytes, FilterImage::kHeaderBytes + 8 * i, entries[i]);
  }
  return FilterImage::kHeaderBytes + 8 * entries.size();
}

std::optional<MaskedEvent> decode_entry(FilterEntry entry, bool masked, Vendor vendor) {
  const bool intel = vendor == Vendor::kIntel;
  if (!masked) {
    const std::uint64_t possible = intel ? FilterEntry::kLegacyIntel : FilterEntry::kLegacyAmd;
    if ((entry.raw & ~possible) != 0) return std::nullopt;
  }
  MaskedEvent event;
  event.event = static_cast<std::uint16_t>(entry.get(FilterEntry::kEvent));
  if (!intel) {
    event.event = static_cast<std::uint16_t>(event.event | entry.get(FilterEntry::kEventHigh) << 8);
  }
  event.match = static_cast<std::uint8_t>(entry.get(FilterEntry::kMatch));
  event.mask =
      masked ? static_cast<std::uint8_t>(entry.get(FilterEntry::kMask)) : std::uint8_t{0xff};
  event.exclude = masked && entry.get(FilterEntry::kExclude) != 0;
  return event;
}

FilterEntry encode_entry(MaskedEvent event) {
  FilterEntry entry;
  entry.set(FilterEntry::kEvent, event.event);
  entry.set(FilterEntry::kEventHigh, event.event >> 8U);
  entry.set(FilterEntry::kMatch, event.match);
  entry.set(FilterEntry::kMask, event.mask);
  entry.set(FilterEntry::kExclude, event.exclude ? 1 : 0);
  return entry;
}

}  // namespace vpmu::virt::x86
