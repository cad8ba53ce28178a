// SPDX-License-Identifier: MIT
//
// x87 instructions on the host's x87: the guest's whole x87 state is loaded into it, the very
// instruction is executed, and the state is taken back. So stack faults, condition codes, precision
// and rounding control, and unmasked exceptions (which an x87 keeps pending until its next waiting
// instruction; there is none here) are all the real thing. The host's x87 is as after FNINIT
// before and after, but for its control word, which is kept.
//
// Results of the transcendental instructions differ in the last bits between CPU vendors, and so
// between hosts; nothing else does.
#pragma once

#include <array>
#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// What FNSAVE stores in 32-bit format, Intel SDM vol. 1 figure 8-9.
struct [[gnu::packed]] X87Image {
  std::uint32_t control;
  std::uint32_t status;
  std::uint32_t tags;
  std::uint32_t instruction_offset;
  std::uint32_t instruction_selector;  ///< and opcode
  std::uint32_t operand_offset;
  std::uint32_t operand_selector;
  std::array<std::array<std::uint8_t, 10>, 8> st;  ///< relative to the top
};
static_assert(sizeof(X87Image) == 108);

/// Largest memory operand that is not a state image (m80).
using X87Operand = std::array<std::uint8_t, 16>;

// Status word bits.
inline constexpr std::uint16_t kX87Exceptions = 0x3f, kX87StackFault = 1 << 6, kX87Es = 1 << 7,
                               kX87Busy = 1 << 15;

X87Image x87_image(const X87& x87);
/// Pointers and opcode of the last instruction are dropped: they would be the host's.
void set_x87_image(X87& x87, const X87Image& image);

/// `opcode` is 0xd8 to 0xdf, `modrm` 0xc0 to 0xff. `ah`: flags as LAHF and SAHF have them; FCMOVcc
/// reads them, FCOMI and so on write them.
void run_x87_register(std::uint8_t opcode, std::uint8_t modrm, X87Image& image, std::uint8_t& ah);

/// `opcode` is 0xd8 to 0xdf, `digit` the /digit. The instruction's memory operand is `operand`.
void run_x87_memory(std::uint8_t opcode, std::uint8_t digit, X87Image& image, X87Operand& operand);

}  // namespace vpmu::machine::x86
