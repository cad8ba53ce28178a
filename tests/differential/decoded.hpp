// SPDX-License-Identifier: MIT
//
// An instruction as Zydis decodes it, with the questions that the tests ask about it.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <span>
#include <string>

namespace vpmu::differential {

struct Decoded {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  [[nodiscard]] ZydisMnemonic mnemonic() const { return instruction.mnemonic; }
  [[nodiscard]] std::span<const ZydisDecodedOperand> all() const {
    return {operands, instruction.operand_count};
  }
  [[nodiscard]] std::span<const ZydisDecodedOperand> visible() const {
    return {operands, instruction.operand_count_visible};
  }
  [[nodiscard]] bool has(ZydisInstructionAttributes attribute) const {
    return (instruction.attributes & attribute) != 0;
  }
  [[nodiscard]] bool repeats() const {
    return has(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
  }
};

/// The 64-bit instruction that `bytes` begin with; false if there is none.
bool decode(std::span<const std::uint8_t> bytes, Decoded& out);

/// In Intel syntax.
std::string disassemble(std::span<const std::uint8_t> bytes, std::uint64_t rip);

/// 0 to 15 for a general register of any size or part; -1 otherwise.
int gpr_number(ZydisRegister reg);

}  // namespace vpmu::differential
