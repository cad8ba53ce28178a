// SPDX-License-Identifier: MIT
//
// SYS instructions: DC, IC, AT and TLBI.
#pragma once

#include <cstdint>

#include "machine/arm64/emulate.hpp"
#include "machine/arm64/instruction.hpp"

namespace vpmu::machine::arm64 {

/// How an instruction ends.
enum class Ending : std::uint8_t {
  kDone,
  kStored,  ///< done, and memory was written
  kUndefined,
  kTrapped,  ///< by EL1: EC 0x18
};

/// Executes the SYS instruction; the program counter stays.
tl::expected<Ending, Fault> execute_system_instruction(CpuParts& cpu, Instruction instruction);

}  // namespace vpmu::machine::arm64
