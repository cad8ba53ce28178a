// SPDX-License-Identifier: MIT
//
// Bits of an instruction's word, as the manual prints them.
#pragma once

#include <cstdint>

namespace vpmu::machine::arm64 {

/// Bits `high` to `low`, of which there are at most 31.
constexpr std::uint32_t bits(std::uint32_t word, unsigned high, unsigned low) {
  return word >> low & ((2U << (high - low)) - 1);
}
constexpr bool bit(std::uint32_t word, unsigned which) {
  return (word >> which & 1) != 0;
}

}  // namespace vpmu::machine::arm64
