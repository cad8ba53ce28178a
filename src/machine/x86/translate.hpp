// SPDX-License-Identifier: MIT
//
// From a decoded instruction to an Op. Each file of handlers (ops_*.cpp) has one translate
// function: it looks at the mnemonic and either fills in the Op and returns true, or leaves it
// alone.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

#include "machine/x86/core.hpp"
#include "vpmu/silicon/x86/cycle_model.hpp"

namespace vpmu::machine::x86 {

/// An instruction as Zydis sees it, with what translation needs to know about where it is.
struct Instruction {
  ZydisDecodedInstruction zydis;
  /// Explicit and hidden operands, in Zydis' order.
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  Mode mode;
  std::uint64_t rip = 0;        ///< of the instruction
  std::uint64_t next_rip = 0;   ///< of the one behind it
  std::uint64_t block_rip = 0;  ///< of the first instruction of the block
  /// The arithmetic flags as the instructions before it in the block have left them, if they left
  /// them as the result of a subtraction (kSub) or as a logic result (kLogic); else kKnown.
  FlagKind flags_kind = FlagKind::kKnown;
  unsigned flags_bits = 64;
  /// Somebody may read the arithmetic flags that this instruction leaves.
  bool flags_live = true;

  [[nodiscard]] ZydisMnemonic mnemonic() const { return zydis.mnemonic; }
  [[nodiscard]] unsigned visible() const { return zydis.operand_count_visible; }
  [[nodiscard]] bool is_memory(unsigned n) const {
    return n < zydis.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY;
  }
  [[nodiscard]] bool is_register(unsigned n) const {
    return n < zydis.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER;
  }
  [[nodiscard]] bool is_immediate(unsigned n) const {
    return n < zydis.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  }
  [[nodiscard]] bool code64() const { return (mode.bits & (Mode::kCode16 | Mode::kCode32)) == 0; }
};

/// What translation says about an instruction besides its Op.
struct Translation {
  Op op;
  OpRecord record;
  silicon::x86::InstructionClass instruction_class = silicon::x86::InstructionClass::kSimple;
  BranchKind branch = BranchKind::kNone;
  std::uint16_t branch_offset = 0;  ///< of the (last) instruction in its block, in bytes
  /// How the flags are left, for instructions behind this one (Instruction::flags_kind).
  FlagKind flags_left = FlagKind::kKnown;
  /// The Op ends the block: it never runs VPMU_NEXT.
  bool terminator = false;
  /// The Op must be the only one of its block (reads counters or time, or changes what is running).
  bool alone = false;
};

/// Fills in the memory operand (base, index, scale, displacement, segment, flags) so that
/// linear_address(core, op) is right. Leaves `reg`, `rm`, `immediate` and `aux` alone.
void set_memory(Op& op, const Instruction& in, const ZydisDecodedOperand& operand);

/// The byte offset in Core::gpr of a general register of any size (AH is 1).
std::uint8_t gpr_offset(ZydisRegister reg);
/// SegmentIndex of a segment register; DS for anything else.
std::uint8_t segment_number(ZydisRegister reg);
/// 0 to 15 of an XMM register; 0 to 7 of an x87 or MMX register.
std::uint8_t register_number(ZydisRegister reg);

/// Where a relative branch leads: operand 0 is the distance.
std::uint64_t branch_target(const Instruction& in);

/// Puts a CMP or TEST and the Jcc right behind it into one Op: `out` is the Jcc's translation, and
/// stands for both if this returns true.
bool fuse_compare_and_branch(const Instruction& compare, const Op& compare_op,
                             const Instruction& branch_in, Translation& out);

bool translate_integer(const Instruction& in, Translation& out);
bool translate_bits(const Instruction& in, Translation& out);
bool translate_stack(const Instruction& in, Translation& out);
bool translate_control(const Instruction& in, Translation& out);
bool translate_string(const Instruction& in, Translation& out);
bool translate_system(const Instruction& in, Translation& out);
bool translate_sse_integer(const Instruction& in, Translation& out);
bool translate_sse_float(const Instruction& in, Translation& out);
bool translate_x87(const Instruction& in, Translation& out);

}  // namespace vpmu::machine::x86
