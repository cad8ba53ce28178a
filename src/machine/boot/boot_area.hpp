// SPDX-License-Identifier: MIT
//
// Where everything goes that the machine puts into RAM besides the image: start information,
// command line, modules, descriptor tables, page tables, a stack. It is taken from the top of RAM
// below 4 GiB downwards, so that the image and whatever the guest allocates after it stay clear.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/boot/bytes.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

class BootArea {
 public:
  /// Places nothing below `floor` (the image's end). `memory` must outlive the area.
  BootArea(const GuestMemory& memory, std::uint64_t floor)
      : memory_{memory}, begin_{end(memory)}, floor_{floor} {}

  /// One past the last byte of RAM that an area takes: the end of RAM below 4 GiB.
  static std::uint64_t end(const GuestMemory& memory) {
    return std::min(memory.begin() + memory.low_size(), std::uint64_t{1} << 32);
  }

  /// Takes `length` bytes at a multiple of `alignment` (a power of two). 0 if there is no room
  /// (address 0 is never handed out); it stays so for all that follows.
  std::uint64_t reserve(std::uint64_t length, std::uint64_t alignment);
  /// Reserves room for `bytes` and copies them there.
  std::uint64_t place(Bytes bytes, std::uint64_t alignment);
  /// A string with its terminating zero.
  std::uint64_t place(const std::string& text);

  [[nodiscard]] bool full() const { return full_; }
  /// Page-aligned start of what was taken so far; the end is end().
  [[nodiscard]] std::uint64_t begin() const { return begin_ & ~std::uint64_t{0xfff}; }

 private:
  const GuestMemory& memory_;
  std::uint64_t begin_;
  std::uint64_t floor_;
  bool full_ = false;
};

}  // namespace vpmu::machine::boot
