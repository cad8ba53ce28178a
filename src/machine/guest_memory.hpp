// SPDX-License-Identifier: MIT
//
// Guest RAM: one anonymous mapping, untouched pages cost nothing. RAM lies from address 0 up to 3
// GiB; what is more than that continues at 4 GiB, as on a PC, so that devices have their place
// below 4 GiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class GuestMemory {
 public:
  static constexpr std::uint64_t kLowEnd = 3ULL << 30;
  static constexpr std::uint64_t kHighBegin = 4ULL << 30;

  /// Maps `bytes` of RAM (a multiple of 4096, at least 1 MiB). Fails if the host refuses.
  static Result<GuestMemory> create(std::uint64_t bytes);

  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&&) = delete;
  ~GuestMemory();

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Bytes of RAM below 3 GiB, and above 4 GiB.
  [[nodiscard]] std::uint64_t low_size() const { return size_ < kLowEnd ? size_ : kLowEnd; }
  [[nodiscard]] std::uint64_t high_size() const { return size_ - low_size(); }

  /// The host address of `length` bytes of RAM at `address`; null if any of them is not RAM.
  [[nodiscard]] std::uint8_t* host(std::uint64_t address, std::uint64_t length) const {
    if (address < low_size()) return length <= low_size() - address ? base_ + address : nullptr;
    if (address < kHighBegin) return nullptr;
    const std::uint64_t offset = address - kHighBegin;
    if (offset >= high_size() || length > high_size() - offset) return nullptr;
    return base_ + kLowEnd + offset;
  }

  /// The page number of a RAM page counted without the hole: an index below size() / 4096. Only for
  /// addresses for which host() is not null.
  [[nodiscard]] std::size_t page_index(std::uint64_t address) const {
    return (address < kHighBegin ? address : address - kHighBegin + kLowEnd) >> 12;
  }

  /// Copies into RAM; false (and nothing is written) if some of it is not RAM.
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes) const;
  bool fill_zero(std::uint64_t address, std::uint64_t length) const;

 private:
  GuestMemory(std::uint8_t* base, std::uint64_t size) : base_{base}, size_{size} {}

  std::uint8_t* base_;
  std::uint64_t size_;
};

}  // namespace vpmu::machine
