// SPDX-License-Identifier: MIT
//
// The PMU event filter: which events a guest's counters may count, with KVM's meaning
// (KVM_SET_PMU_EVENT_FILTER, legacy and masked events). Immutable once made.
//
// A decision is two loads and a bit test, however many entries there are and however many of them
// share an event select: for every event select that some entry names there is a row of 256 bits,
// one per unit mask, in which includes, excludes and the action are worked out already; all others
// share one row. A filter is one object of fixed size, without pointers.
//
// One filter may serve all vCPUs, on any thread. To change it while they run: EventFilterSlot.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <tl/expected.hpp>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/virt/x86/event_gate.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::virt::x86 {

/// What a filter says of an event, and which of its entries made it say so.
struct FilterVerdict {
  enum class Reason : std::uint8_t {
    kIncluded,     ///< `entry` includes it, and none excludes it
    kExcluded,     ///< some entry includes it, but `entry` excludes it
    kNotIncluded,  ///< no entry includes it
    kFixedBitmap,  ///< a fixed counter: its bit in the bitmap
  };
  bool admitted = false;
  Reason reason = Reason::kNotIncluded;
  std::uint32_t entry = 0;  ///< by its place in the image: the first that did
  friend constexpr bool operator==(const FilterVerdict&, const FilterVerdict&) = default;
};

/// The name that reports use, e.g. "not included". Never null.
const char* name(FilterVerdict::Reason reason);

class EventFilter final : public EventGate {
 public:
  /// For guests of that vendor. Takes an image that nobody changes meanwhile, and refuses one that
  /// KVM would refuse.
  static tl::expected<std::unique_ptr<const EventFilter>, FilterRefusal> create(
      const FilterImage& image, silicon::x86::Vendor vendor);

  EventFilter(const EventFilter&) = delete;
  EventFilter& operator=(const EventFilter&) = delete;
  ~EventFilter() = default;

  /// On Intel only bits 7:0 of the event select are looked at, on AMD bits 11:0.
  [[nodiscard]] bool admits(silicon::x86::EventSelector event) const override {
    const UnitMasks& row = rows_[row_of_[event.event & event_mask_]];
    return (row[event.unit_mask / 64] >> (event.unit_mask % 64) & 1) != 0;
  }
  /// `k` below 32.
  [[nodiscard]] bool admits_fixed(unsigned k) const override { return (fixed_ >> k & 1) != 0; }

  /// Why. Looks at every entry.
  [[nodiscard]] FilterVerdict explain(silicon::x86::EventSelector event) const;
  [[nodiscard]] FilterVerdict explain_fixed(unsigned k) const;

  /// What it was made of.
  [[nodiscard]] const FilterImage& image() const { return image_; }
  [[nodiscard]] silicon::x86::Vendor vendor() const { return vendor_; }

 private:
  /// A bit for each unit mask.
  using UnitMasks = std::array<std::uint64_t, 4>;
  static constexpr std::size_t kMaxEvents = 1 << 12;
  /// Of all event selects that no entry names.
  static constexpr std::uint16_t kOtherEvents = 0;

  EventFilter(const FilterImage& image, silicon::x86::Vendor vendor);
  void build();
  [[nodiscard]] std::optional<MaskedEvent> entry(std::uint32_t i) const {
    return decode_entry(FilterEntry{{image_.entries[i]}}, image_.masked(), vendor_);
  }

  FilterImage image_;
  silicon::x86::Vendor vendor_;
  std::uint16_t event_mask_;
  std::uint32_t fixed_ = 0;  ///< bit k: fixed counter k may count
  std::array<std::uint16_t, kMaxEvents> row_of_{};
  std::array<UnitMasks, FilterImage::kMaxEntries + 1> rows_;
};

static_assert(sizeof(EventFilter) <= std::size_t{64} << 10);

}  // namespace vpmu::virt::x86
