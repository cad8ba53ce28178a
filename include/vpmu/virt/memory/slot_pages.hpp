// SPDX-License-Identifier: MIT
//
// The pages of a slot, for whoever asks about many of them (AddressSpace::read()): two loads each.
#pragma once

#include <cstdint>

#include "vpmu/virt/memory/memory_slot.hpp"

namespace vpmu::virt::memory {

/// Pages are numbered from 0, and less than size().
class SlotPages {
 public:
  /// Where the arrays are, null where there is none. Bits of `pins` begin with the first page's
  /// block, in which it is page `offset`.
  struct Arrays {
    const std::uint32_t* pin_counts = nullptr;
    const std::uint64_t* pins = nullptr;
    const std::uint64_t* dirty = nullptr;
    std::uint64_t offset = 0;
  };
  SlotPages() = default;
  SlotPages(std::uint64_t pages, const Arrays& arrays) : pages_{pages}, arrays_{arrays} {}

  [[nodiscard]] std::uint64_t size() const { return pages_; }

  /// Pinned, by a lock of the slot or of a range.
  [[nodiscard]] bool locked(std::uint64_t page) const {
    if (arrays_.pin_counts == nullptr) return false;
    const std::uint64_t bit = page + arrays_.offset;
    const std::uint32_t count = load(&arrays_.pin_counts[bit / kPagesPerBlock]);
    if (count % kPagesPerBlock == 0) return count != 0;
    return (load(&arrays_.pins[bit / 64]) >> bit % 64 & 1) != 0;
  }
  /// Written since the log was taken last.
  [[nodiscard]] bool dirty(std::uint64_t page) const {
    if (arrays_.dirty == nullptr) return false;
    return (load(&arrays_.dirty[page / 64]) >> page % 64 & 1) != 0;
  }

 private:
  template <class Number>
  static Number load(const Number* number) {
    return __atomic_load_n(number, __ATOMIC_ACQUIRE);
  }

  std::uint64_t pages_ = 0;
  Arrays arrays_;
};

}  // namespace vpmu::virt::memory
