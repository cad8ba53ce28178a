// SPDX-License-Identifier: MIT
//
// Every instruction form that is compared: found by decoding the whole opcode space, so nothing is
// forgotten, less what cannot be compared (admitted()).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decoded.hpp"

namespace vpmu::differential {

/// One opcode with its mandatory or operand-size prefix. Registers, memory operands and immediates
/// are free but for the masks.
struct Form {
  std::uint8_t prefix = 0;  ///< 0, 0x66, 0xf2 or 0xf3
  std::uint8_t map = 0;     ///< 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
  std::uint8_t opcode = 0;
  bool rex_w = false;
  bool vex = false;
  bool modrm = false;
  bool memory = false;        ///< ModRM.mod is not 3
  std::uint8_t reg_mask = 0;  ///< which ModRM.reg (low three bits) are this mnemonic
  std::uint8_t rm_mask = 0;   ///< which ModRM.rm, where there is no memory operand
};

struct FormGroup {
  ZydisMnemonic mnemonic = ZYDIS_MNEMONIC_INVALID;
  std::vector<Form> forms;
};

/// True for instructions that user code may execute on both sides with the same effect: no system
/// calls, nothing that reads time, processor identity or segments that differ, nothing outside the
/// instruction sets that the guest has.
bool admitted(const Decoded& decoded);

/// All forms by mnemonic. `only`: just this one, in lower case; empty: all. What the host lacks is
/// left out and named in `missing`.
std::vector<FormGroup> all_forms(const std::string& only, std::vector<std::string>& missing);

}  // namespace vpmu::differential
