// SPDX-License-Identifier: MIT
//
// Where the host has the RAM pages that a guest accesses as data: what every load and store of
// compiled code looks at first. Whatever it does not have, or may not be done without a second look
// (devices, code that is written to, what is not aligned), goes the long way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/arm64/code_map.hpp"

namespace vpmu::machine::arm64 {

class DataTlb {
 public:
  DataTlb() { filled_.reserve(kEntries); }

  /// The host address of `bytes` (a power of two) at `address`, if they are aligned and may be
  /// read; otherwise null.
  [[nodiscard]] const std::uint8_t* readable(std::uint64_t address, unsigned bytes) const {
    const Entry& entry = entries_[slot(address)];
    if (key(address, bytes) != entry.read_tag) [[unlikely]]
      return nullptr;
    return reinterpret_cast<const std::uint8_t*>(address + entry.addend);
  }
  [[nodiscard]] std::uint8_t* writable(std::uint64_t address, unsigned bytes) const {
    const Entry& entry = entries_[slot(address)];
    if (key(address, bytes) != entry.write_tag) [[unlikely]]
      return nullptr;
    return reinterpret_cast<std::uint8_t*>(address + entry.addend);
  }
  // The same for accesses that need not be aligned.
  [[nodiscard]] const std::uint8_t* readable_anyhow(std::uint64_t address, unsigned bytes) const {
    const Entry& entry = entries_[slot(address)];
    if (entry.aligned || page_of_last(address, bytes) != entry.read_tag) return nullptr;
    return reinterpret_cast<const std::uint8_t*>(address + entry.addend);
  }
  [[nodiscard]] std::uint8_t* writable_anyhow(std::uint64_t address, unsigned bytes) const {
    const Entry& entry = entries_[slot(address)];
    if (entry.aligned || page_of_last(address, bytes) != entry.write_tag) return nullptr;
    return reinterpret_cast<std::uint8_t*>(address + entry.addend);
  }

  struct Rights {
    bool read = false;
    bool write = false;
    bool aligned = false;  ///< only where accesses are aligned
  };
  /// The page of `address` is at `host`.
  void fill(std::uint64_t address, const std::uint8_t* host, Rights rights) {
    const std::size_t at = slot(address);
    Entry& entry = entries_[at];
    if (entry.read_tag == kNoTag && entry.write_tag == kNoTag) {
      filled_.push_back(static_cast<std::uint16_t>(at));
    }
    const std::uint64_t page = address & ~kPageMask;
    entry.read_tag = rights.read ? page : kNoTag;
    entry.write_tag = rights.write ? page : kNoTag;
    entry.addend = reinterpret_cast<std::uintptr_t>(host) - page;
    entry.aligned = rights.aligned;
  }

  /// Forgets everything. Costs what has been filled since.
  void flush() {
    for (const std::uint16_t at : filled_) entries_[at] = {};
    filled_.clear();
  }

 private:
  static constexpr std::size_t kEntries = 1024;
  static constexpr std::uint64_t kNoTag = ~std::uint64_t{0};

  struct Entry {
    std::uint64_t read_tag = kNoTag;
    std::uint64_t write_tag = kNoTag;
    std::uint64_t addend = 0;  ///< address + addend is where the host has it
    bool aligned = false;
  };

  static std::size_t slot(std::uint64_t address) { return address / kPageBytes % kEntries; }
  /// The page, and what is misaligned, so that it matches nothing. What is aligned is in one page.
  static std::uint64_t key(std::uint64_t address, unsigned bytes) {
    return address & (~kPageMask | (bytes - 1));
  }
  /// Accesses across pages match nothing: the slot is that of the first byte.
  static std::uint64_t page_of_last(std::uint64_t address, unsigned bytes) {
    return (address + bytes - 1) & ~kPageMask;
  }

  std::array<Entry, kEntries> entries_{};
  std::vector<std::uint16_t> filled_;
};

}  // namespace vpmu::machine::arm64
