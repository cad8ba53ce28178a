// SPDX-License-Identifier: MIT
//
// A PMU event filter as KVM_SET_PMU_EVENT_FILTER takes it: the structure, its entries, and the
// checks that KVM makes, in its order. Linux, arch/x86/include/uapi/asm/kvm.h and
// Documentation/virt/kvm/api.rst 4.120; docs/abi/event-filter.md has all of it.
//
// The bytes come from somebody who may change them meanwhile: read_filter_image() fetches the
// header once, and then exactly as many entries as that copy says, once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <tl/expected.hpp>

#include "vpmu/base/register.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::virt::x86 {

enum class FilterAction : std::uint32_t { kAllow = 0, kDeny = 1 };

/// An entry of a masked filter. Legacy entries are the same without mask and exclude bit.
struct FilterEntry : Register<std::uint64_t> {
  static constexpr Field<7, 0> kEvent{};
  static constexpr Field<15, 8> kMatch{};       ///< unit mask, where `kMask` looks
  static constexpr Field<35, 32> kEventHigh{};  ///< AMD: bits 11:8 of the event select
  static constexpr Field<55> kExclude{};
  static constexpr Field<63, 56> kMask{};

  static constexpr std::uint64_t kLegacyIntel = mask_of(kEvent, kMatch);
  static constexpr std::uint64_t kLegacyAmd = mask_of(kEvent, kMatch, kEventHigh);
  static constexpr std::uint64_t kValidIntel = mask_of(kEvent, kMatch, kExclude, kMask);
  static constexpr std::uint64_t kValidAmd = kValidIntel | mask_of(kEventHigh);

  /// What an entry of a masked filter may have set.
  static constexpr std::uint64_t valid(silicon::x86::Vendor vendor) {
    return vendor == silicon::x86::Vendor::kIntel ? kValidIntel : kValidAmd;
  }

  static_assert(disjoint(kEvent, kMatch, kEventHigh, kExclude, kMask));
  static_assert(kValidIntel == 0xff80'0000'0000'ffff);
  static_assert(kValidAmd == 0xff80'000f'0000'ffff);
};

/// The header and its entries. Plain data: what is in it need not be valid.
struct FilterImage {
  static constexpr std::size_t kHeaderBytes = 32;
  static constexpr std::uint32_t kMaxEntries = 300;
  static constexpr std::uint32_t kMaskedEvents = 1;  ///< of `flags`
  /// Where the structure has its fields, in bytes; all are of 32 bits but the padding.
  static constexpr std::size_t kActionAt = 0;
  static constexpr std::size_t kCountAt = 4;
  static constexpr std::size_t kFixedBitmapAt = 8;
  static constexpr std::size_t kFlagsAt = 12;
  static constexpr std::size_t kPaddingAt = 16;
  /// Room for the longest structure.
  using Bytes = std::array<std::byte, kHeaderBytes + 8 * kMaxEntries>;

  std::uint32_t action = 0;
  std::uint32_t count = 0;         ///< of entries (nevents)
  std::uint32_t fixed_bitmap = 0;  ///< bit k: fixed counter k
  std::uint32_t flags = 0;
  std::array<std::uint64_t, kMaxEntries> entries{};  ///< `count` of them

  /// Of a valid one: what matches may not be counted. Otherwise nothing else may.
  [[nodiscard]] bool denies() const {
    return action == static_cast<std::uint32_t>(FilterAction::kDeny);
  }
  [[nodiscard]] bool masked() const { return (flags & kMaskedEvents) != 0; }
  /// The entries that are there; of a `count` that is too large, as many as there can be.
  [[nodiscard]] std::span<const std::uint64_t> used() const {
    return {entries.data(), count < kMaxEntries ? count : kMaxEntries};
  }
  friend bool operator==(const FilterImage&, const FilterImage&) = default;
};

/// Why a filter is refused, in the order of the checks.
enum class FilterError : std::uint8_t {
  kHeaderUnreadable,   ///< EFAULT
  kAction,             ///< EINVAL: neither allow nor deny
  kFlags,              ///< EINVAL: an unknown bit
  kTooManyEntries,     ///< E2BIG
  kNoMemory,           ///< ENOMEM
  kEntriesUnreadable,  ///< EFAULT
  kReservedBits,       ///< EINVAL: in an entry of a masked filter
};
/// The errno of KVM's ioctl, positive.
int errno_of(FilterError error);

struct FilterRefusal {
  FilterError error;
  std::uint32_t entry = 0;  ///< kReservedBits: the first such entry
  friend constexpr bool operator==(FilterRefusal, FilterRefusal) = default;
};

/// Memory that may change while it is read, and need not be there.
class FilterSource {
 public:
  /// Copies `to.size()` bytes from `offset` of the structure. False: not all can be read.
  virtual bool copy(std::size_t offset, std::span<std::byte> to) = 0;

 protected:
  ~FilterSource() = default;
};

/// Fetches and checks a structure for guests of that vendor. What it gives is valid.
tl::expected<FilterImage, FilterRefusal> read_filter_image(FilterSource& source,
                                                           silicon::x86::Vendor vendor);
/// The same of bytes that nobody changes; they may be more than the structure.
tl::expected<FilterImage, FilterRefusal> read_filter_image(std::span<const std::byte> bytes,
                                                           silicon::x86::Vendor vendor);

/// Everything but what has to do with memory: of an image made by hand.
tl::expected<void, FilterRefusal> check_filter_image(const FilterImage& image,
                                                     silicon::x86::Vendor vendor);

/// Header and entries, little-endian: what read_filter_image() takes. The number of bytes written.
std::size_t write_filter_image(const FilterImage& image,
                               std::span<std::byte, std::tuple_size_v<FilterImage::Bytes>> bytes);

/// What an entry says: of unit mask u of `event`, that `(u & mask) == match`.
struct MaskedEvent {
  std::uint16_t event = 0;
  std::uint8_t mask = 0;
  std::uint8_t match = 0;
  bool exclude = false;

  /// A match outside the mask: no unit mask has it.
  [[nodiscard]] constexpr bool is_dead() const { return (match & ~mask) != 0; }
  [[nodiscard]] constexpr bool covers(std::uint8_t unit_mask) const {
    return (unit_mask & mask) == match;
  }
  friend constexpr bool operator==(MaskedEvent, MaskedEvent) = default;
};

/// An entry of a valid image. Null: a legacy entry with bits that no event select and unit mask
/// has; it can match nothing, and KVM drops it.
std::optional<MaskedEvent> decode_entry(FilterEntry entry, bool masked,
                                        silicon::x86::Vendor vendor);
/// As an entry of a masked filter.
FilterEntry encode_entry(MaskedEvent event);

}  // namespace vpmu::virt::x86
