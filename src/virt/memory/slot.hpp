// SPDX-License-Identifier: MIT
//
// A slot as the address space has it, and the table in which vCPUs find it. Both are immutable once
// published; what changes is behind their pointers, and goes on in the next slot of that number if
// only its flags change.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "virt/memory/pin_map.hpp"
#include "virt/memory/range_counts.hpp"
#include "virt/memory/stage_two.hpp"
#include "vpmu/virt/memory/memory_slot.hpp"

namespace vpmu::virt::memory {

/// Locks of a slot, and what they have pinned. Changed under the address space's slots_mutex_; the
/// atomics are for vCPUs.
struct Pins {
  enum Lock : std::uint8_t { kNone, kRead, kReadWrite };

  std::atomic<Lock> lock = kNone;  ///< of the whole slot
  RangeCounts ranges;
  std::unique_ptr<PinMap> owner;
  std::atomic<PinMap*> map = nullptr;  ///< once something was pinned

  [[nodiscard]] bool locked() const { return lock != kNone; }
  [[nodiscard]] bool pinned(std::uint64_t page) const {
    const PinMap* const pinned_pages = map.load(std::memory_order_acquire);
    return pinned_pages != nullptr && pinned_pages->pinned(page);
  }
};

struct Slot {
  MemorySlot config;
  std::shared_ptr<StageTwo> stage2;
  std::shared_ptr<PageBits> dirty;  ///< null: not logged
  std::shared_ptr<Pins> pins;

  [[nodiscard]] std::uint64_t pages() const { return config.bytes / kPageBytes; }
  [[nodiscard]] std::uint64_t begin() const { return raw(config.begin); }
  [[nodiscard]] std::uint64_t end() const { return begin() + config.bytes; }
  [[nodiscard]] std::byte* host(std::uint64_t page) const {
    return config.host + page * kPageBytes;
  }
  [[nodiscard]] GuestPhysical address(std::uint64_t page) const {
    return GuestPhysical{begin() + page * kPageBytes};
  }
};

struct SlotTable {
  std::vector<const Slot*> slots;  ///< by their addresses

  [[nodiscard]] const Slot* at(std::uint64_t address) const {
    const auto next = std::upper_bound(
        slots.begin(), slots.end(), address,
        [](std::uint64_t asked, const Slot* slot) { return asked < slot->begin(); });
    if (next == slots.begin()) return nullptr;
    const Slot* const slot = *(next - 1);
    return address < slot->end() ? slot : nullptr;
  }
};

}  // namespace vpmu::virt::memory
