// SPDX-License-Identifier: MIT
//
// Where the host has the RAM pages that compiled code reads and writes without asking anybody: a
// table by virtual page that dynarmic looks at in the code that it makes. What is not in it goes
// through the memory callbacks. Only the lowest 64 GiB of virtual addresses have a place in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/arm64/code_map.hpp"

namespace vpmu::machine::arm64 {

class DirectPages {
 public:
  /// Of the virtual addresses that have a place.
  static constexpr unsigned kAddressBits = 36;

  /// Reserves addresses, no memory. Without them it stays empty for ever.
  DirectPages();
  ~DirectPages();
  DirectPages(const DirectPages&) = delete;
  DirectPages& operator=(const DirectPages&) = delete;

  /// By virtual page: host address minus virtual address, or null. Null: no table.
  [[nodiscard]] void** table() const { return table_; }

  /// The page of `address` is at `host`: aligned accesses of EL's rights go there.
  void fill(std::uint64_t address, const std::uint8_t* host);
  /// Costs what has been filled since.
  void clear();

 private:
  static constexpr std::size_t kEntries = std::size_t{1} << (kAddressBits - 12);
  /// More are not kept: all are forgotten.
  static constexpr std::size_t kMostFilled = std::size_t{1} << 16;

  void** table_ = nullptr;
  std::vector<std::uint32_t> filled_;
};

}  // namespace vpmu::machine::arm64
