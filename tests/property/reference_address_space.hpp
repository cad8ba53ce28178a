// SPDX-License-Identifier: MIT
//
// What a guest's memory slots, dirty logs and locks are, written down as plainly as can be: sets of
// pages. Stage 2 is left out: where a page is mapped at any moment is the implementation's choice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "vpmu/virt/memory/memory_slot.hpp"

namespace vpmu::property {

class ReferenceAddressSpace {
 public:
  struct Range {
    std::uint32_t slot;
    std::uint64_t first, end;
    bool write;
  };
  struct Slot {
    virt::memory::MemorySlot config;
    std::optional<bool> lock;  ///< for writing, too?
    std::set<std::uint64_t> dirty;
    [[nodiscard]] std::uint64_t pages() const { return config.bytes / virt::memory::kPageBytes; }
    [[nodiscard]] std::uint64_t begin() const { return raw(config.begin); }
    [[nodiscard]] std::uint64_t end() const { return begin() + config.bytes; }
  };
  /// What else a lock depends on.
  struct Circumstances {
    std::uint64_t limit = ~std::uint64_t{0};  ///< in pages
    std::byte* hole = nullptr;                ///< a page that cannot be pinned
    std::uint64_t unmappable = ~std::uint64_t{0};
    int map_error = 0;
    bool raced = false;  ///< the memory changes while the first page is pinned
  };

  ReferenceAddressSpace(unsigned address_bits, bool strict)
      : last_{std::uint64_t{1} << address_bits}, strict_{strict} {}

  // Each gives an errno, or 0.
  int set_slot(const virt::memory::MemorySlot& slot);
  int lock(std::uint32_t number, bool write, const Circumstances& now);
  int unlock(std::uint32_t number);
  void unlock_all();
  int lock_range(std::uint64_t begin, std::uint64_t bytes, bool write, const Circumstances& now);
  void unlock_range(std::size_t index);
  void mark_dirty(std::uint64_t begin, std::uint64_t bytes);
  void run() { has_run_ = true; }

  [[nodiscard]] const Slot* at(std::uint64_t address) const;
  [[nodiscard]] bool pinned(const Slot& slot, std::uint64_t page) const;
  /// By a range.
  [[nodiscard]] bool write_locked(const Slot& slot, std::uint64_t address) const;
  [[nodiscard]] std::set<std::byte*> pinned_memory() const;
  [[nodiscard]] std::uint64_t charged() const;

  std::map<std::uint32_t, Slot> slots;
  std::vector<Range> ranges;

 private:
  int pin(const Slot& slot, std::uint64_t first, std::uint64_t end, bool write,
          const Circumstances& now) const;
  [[nodiscard]] bool has_ranges(std::uint32_t number) const;

  std::uint64_t last_;
  bool strict_;
  bool has_run_ = false;
};

}  // namespace vpmu::property
