// SPDX-License-Identifier: MIT
//
// An A64 instruction's fields (C4.1), as far as instructions are emulated.
#pragma once

#include <cstdint>

#include "machine/arm64/word_bits.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64 {

struct Instruction {
  std::uint32_t word = 0;

  [[nodiscard]] constexpr unsigned bits(unsigned high, unsigned low) const {
    return arm64::bits(word, high, low);
  }
  [[nodiscard]] constexpr bool matches(std::uint32_t mask, std::uint32_t value) const {
    return (word & mask) == value;
  }

  // Registers; 31 is zero or the stack pointer.
  [[nodiscard]] constexpr unsigned rt() const { return bits(4, 0); }
  [[nodiscard]] constexpr unsigned rn() const { return bits(9, 5); }

  // System instructions (C4.1.65 and on).
  [[nodiscard]] constexpr bool reads() const { return bits(21, 21) != 0; }
  [[nodiscard]] constexpr unsigned op0() const { return bits(20, 19); }
  [[nodiscard]] constexpr unsigned op1() const { return bits(18, 16); }
  [[nodiscard]] constexpr unsigned crn() const { return bits(15, 12); }
  [[nodiscard]] constexpr unsigned crm() const { return bits(11, 8); }
  [[nodiscard]] constexpr unsigned op2() const { return bits(7, 5); }
  [[nodiscard]] constexpr silicon::arm64::SystemRegister system() const {
    return silicon::arm64::system_register(op0(), op1(), crn(), crm(), op2());
  }
};

}  // namespace vpmu::machine::arm64
