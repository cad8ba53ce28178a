// SPDX-License-Identifier: MIT
#include "effects.hpp"

namespace vpmu::differential {

namespace {

constexpr std::uint64_t kCf = 1, kPf = 1 << 2, kAf = 1 << 4, kZf = 1 << 6, kSf = 1 << 7,
                        kOf = 1 << 11;
constexpr std::uint64_t kStatus = kCf | kPf | kAf | kZf | kSf | kOf;

std::uint16_t status_word(std::uint32_t fpu_flags) {
  std::uint16_t bits = 0;
  if (fpu_flags & ZYDIS_FPUFLAG_C0) bits |= 1 << 8;
  if (fpu_flags & ZYDIS_FPUFLAG_C1) bits |= 1 << 9;
  if (fpu_flags & ZYDIS_FPUFLAG_C2) bits |= 1 << 10;
  if (fpu_flags & ZYDIS_FPUFLAG_C3) bits |= 1 << 14;
  return bits;
}

/// Shifts and rotates by `count` (masked; negative: unknown) of an operand of `bits` bits.
void shift_effects(ZydisMnemonic mnemonic, int count, unsigned bits, FlagEffects& effects) {
  const bool rotate = mnemonic == ZYDIS_MNEMONIC_ROL || mnemonic == ZYDIS_MNEMONIC_ROR ||
                      mnemonic == ZYDIS_MNEMONIC_RCL || mnemonic == ZYDIS_MNEMONIC_RCR;
  const bool twice = mnemonic == ZYDIS_MNEMONIC_SHLD || mnemonic == ZYDIS_MNEMONIC_SHRD;
  const std::uint64_t written = rotate ? kCf | kOf : kStatus;
  effects.defines = 0;
  effects.undefined = 0;
  // A count of zero leaves all flags as they were.
  if (count == 0) return;
  if (count != 1) effects.undefined |= kOf;
  if (!rotate) effects.undefined |= kAf;
  const auto limit = static_cast<int>(bits);
  if (twice && bits == 16 && (count < 0 || count > limit)) {
    effects.undefined |= kStatus;
    effects.result_undefined = true;
  }
  if ((mnemonic == ZYDIS_MNEMONIC_SHL || mnemonic == ZYDIS_MNEMONIC_SHR) &&
      (count < 0 ? bits < 32 : count >= limit))
    effects.undefined |= kCf;
  if (count > 0) effects.defines = written & ~effects.undefined;
}

}  // namespace

FlagEffects flag_effects(const Decoded& decoded, int count) {
  FlagEffects effects;
  const ZydisDecodedInstruction& in = decoded.instruction;
  if (in.cpu_flags != nullptr) {
    effects.reads = in.cpu_flags->tested;
    effects.undefined = in.cpu_flags->undefined & kStatus;
    effects.defines = (in.cpu_flags->modified | in.cpu_flags->set_0 | in.cpu_flags->set_1) &
                      ~static_cast<std::uint64_t>(in.cpu_flags->undefined) & kStatus;
  }
  if (in.fpu_flags != nullptr) {
    effects.x87_reads = status_word(in.fpu_flags->tested);
    effects.x87_undefined = status_word(in.fpu_flags->undefined);
    effects.x87_defines =
        status_word((in.fpu_flags->modified | in.fpu_flags->set_0 | in.fpu_flags->set_1) &
                    ~in.fpu_flags->undefined);
  }
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
      const ZydisDecodedOperand& by = decoded.operands[in.operand_count_visible - 1];
      int amount = count;
      if (by.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) amount = static_cast<int>(by.imm.value.u & 0xff);
      if (in.operand_count_visible == 1) amount = 1;
      if (amount >= 0) amount &= decoded.operands[0].size == 64 ? 63 : 31;
      shift_effects(in.mnemonic, amount, decoded.operands[0].size, effects);
      break;
    }
    // Repeated zero times they leave the flags alone, so they do not clean what was undefined.
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSQ:
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
      if (decoded.repeats()) effects.defines = 0;
      break;
    case ZYDIS_MNEMONIC_CMPSD:
      if (in.meta.category == ZYDIS_CATEGORY_STRINGOP && decoded.repeats()) effects.defines = 0;
      break;
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ: effects.reads = kStatus; break;
    case ZYDIS_MNEMONIC_LAHF: effects.reads = kStatus & ~kOf; break;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSTSW: effects.x87_reads = 0x4700; break;
    default: break;
  }
  return effects;
}

bool is_approximate(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_RCPPS || decoded.mnemonic() == ZYDIS_MNEMONIC_RCPSS ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_RSQRTPS ||
         decoded.mnemonic() == ZYDIS_MNEMONIC_RSQRTSS;
}

bool may_enter_mmx(const Decoded& decoded) {
  return decoded.mnemonic() == ZYDIS_MNEMONIC_CVTPI2PS &&
         decoded.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

}  // namespace vpmu::differential
