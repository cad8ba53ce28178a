// SPDX-License-Identifier: MIT
//
// Guest RAM: one anonymous mapping, untouched pages cost nothing. Where it lies in the guest's
// physical address space is the board's matter: in one piece, or in two with a hole for devices
// between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vpmu/base/numbers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

/// Where RAM lies. Addresses are multiples of 4096.
struct MemoryLayout {
  std::uint64_t begin = 0;    ///< of low RAM
  std::uint64_t low_end = 0;  ///< where low RAM ends at the latest
  /// Where what is more than that continues.
  std::uint64_t high_begin = 0;
};
/// From address 0 up to 3 GiB, and from 4 GiB on.
inline constexpr MemoryLayout kPcMemory{0, 3ULL << 30, 4ULL << 30};
/// In one piece behind the devices, from 1 GiB on.
inline constexpr MemoryLayout kArmMemory{1ULL << 30, ~std::uint64_t{0}, ~std::uint64_t{0}};

class GuestMemory {
 public:
  /// Of a PC.
  static constexpr std::uint64_t kLowEnd = kPcMemory.low_end;
  static constexpr std::uint64_t kHighBegin = kPcMemory.high_begin;

  /// Maps `bytes` of RAM (a multiple of 4096, at least 1 MiB). Fails if the host refuses.
  static Result<GuestMemory> create(std::uint64_t bytes, const MemoryLayout& layout = kPcMemory);

  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&&) = delete;
  ~GuestMemory();

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Where RAM begins, and where it goes on above the hole.
  [[nodiscard]] std::uint64_t begin() const { return begin_; }
  [[nodiscard]] std::uint64_t high_begin() const { return high_begin_; }
  /// Bytes of RAM below the hole, and above it.
  [[nodiscard]] std::uint64_t low_size() const { return low_size_; }
  [[nodiscard]] std::uint64_t high_size() const { return size_ - low_size_; }

  /// The host address of `length` bytes of RAM at `address`; null if any of them is not RAM.
  [[nodiscard]] std::uint8_t* host(std::uint64_t address, std::uint64_t length) const {
    const std::uint64_t low = address - begin_;  // huge below it
    if (low < low_size_) return length <= low_size_ - low ? base_ + low : nullptr;
    if (address < high_begin_) return nullptr;
    const std::uint64_t offset = address - high_begin_;
    if (offset >= high_size() || length > high_size() - offset) return nullptr;
    return base_ + low_size_ + offset;
  }

  /// The other way round: of what host() gave.
  [[nodiscard]] std::uint64_t address_of(const std::uint8_t* host) const {
    const auto offset = static_cast<std::uint64_t>(host - base_);
    return offset < low_size_ ? begin_ + offset : high_begin_ + (offset - low_size_);
  }

  /// The page number of a RAM page counted without the hole: an index below size() / 4096. Only for
  /// addresses for which host() is not null.
  [[nodiscard]] std::size_t page_index(std::uint64_t address) const {
    return (address < high_begin_ ? address - begin_ : address - high_begin_ + low_size_) >> 12;
  }

  /// Copies into RAM; false (and nothing is written) if some of it is not RAM.
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes) const;
  bool fill_zero(std::uint64_t address, std::uint64_t length) const;

 private:
  GuestMemory(std::uint8_t* base, std::uint64_t size, const MemoryLayout& layout);

  std::uint8_t* base_;
  std::uint64_t size_;
  std::uint64_t begin_;
  std::uint64_t low_size_;
  std::uint64_t high_begin_;
};

}  // namespace vpmu::machine
