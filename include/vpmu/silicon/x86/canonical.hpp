// SPDX-License-Identifier: MIT
//
// Which 64-bit numbers are linear addresses.
#pragma once

#include <cstdint>

namespace vpmu::silicon::x86 {

/// Of 48 bits, as all our CPU models have them: the bits above are copies of bit 47.
[[nodiscard]] constexpr bool canonical(std::uint64_t address) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16) == address;
}

}  // namespace vpmu::silicon::x86
