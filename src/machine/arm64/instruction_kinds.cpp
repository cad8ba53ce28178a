// SPDX-License-Identifier: MIT
#include "machine/arm64/instruction_kinds.hpp"

#include "machine/arm64/word_bits.hpp"

namespace vpmu::machine::arm64 {

namespace {

/// As a base register, and as the destination of some instructions.
constexpr std::uint32_t kStackPointer = 31;
constexpr std::uint32_t kStackAlignment = 16;

// ---- Branches, exceptions, system instructions --------------------------------------------------

/// HINT: those that do something.
constexpr unsigned kWfe = 2, kWfi = 3, kSev = 4, kSevl = 5;

Handling hint(std::uint32_t word) {
  switch (bits(word, 11, 5)) {
    case kWfe:
    case kWfi:
    case kSev:
    case kSevl: return Handling::kCaught;
    default: return Handling::kNothing;
  }
}

Handling barrier(std::uint32_t word) {
  switch (bits(word, 7, 5)) {
    case 4:                             // DSB
    case 5: return Handling::kPlain;    // DMB
    case 6: return Handling::kNothing;  // ISB: whatever it waits for has taken effect
    default: return Handling::kCaught;  // CLREX, SB, ...
  }
}

/// Registers that compiled code may access, as bits 19:5 name them.
constexpr std::uint32_t kNzcv = 0x5a10, kFpcr = 0x5a20, kFpsr = 0x5a21, kTpidrEl0 = 0x5e82,
                        kTpidrroEl0 = 0x5e83;

Handling system(std::uint32_t word) {
  if ((word & 0xffff'f01f) == 0xd503'201f) return hint(word);
  if ((word & 0xffff'f01f) == 0xd503'301f) return barrier(word);
  const bool reads = bit(word, 21);
  if (!bit(word, 20)) return Handling::kCaught;  // op0 is not 2 or 3
  switch (bits(word, 19, 5)) {
    case kNzcv:
    case kFpcr:
    case kFpsr:
    case kTpidrEl0: return Handling::kUnsure;
    case kTpidrroEl0: return reads ? Handling::kUnsure : Handling::kCaught;
    default: return Handling::kCaught;
  }
}

Handling branch_or_system(std::uint32_t word) {
  if (branch_kind(word) != BranchKind::kNone) return Handling::kBranch;
  if ((word & 0xffc0'0000) == 0xd500'0000) return system(word);
  return Handling::kCaught;
}

// ---- Data processing ----------------------------------------------------------------------------

/// The element that N:immr:imms stands for exists (DecodeBitMasks).
bool is_bit_mask(std::uint32_t word) {
  const bool wide = bit(word, 31), n = bit(word, 22);
  if (!wide && n) return false;
  const std::uint32_t length = (n ? 64U : 0U) | (~bits(word, 15, 10) & 0x3f);
  if (length < 2) return false;
  // All ones in an element are not a mask: the bits of imms below the length's highest.
  std::uint32_t levels = 1;
  while (levels * 2 <= length) levels *= 2;
  return (bits(word, 15, 10) & (levels - 1)) != levels - 1;
}

bool plain_immediate(std::uint32_t word) {
  const bool wide = bit(word, 31), n = bit(word, 22);
  switch (bits(word, 25, 23)) {
    case 0:
    case 1:                // ADR, ADRP
    case 2: return true;   // ADD, SUB
    case 3: return false;  // with tags
    case 4: return is_bit_mask(word);
    case 5: return bits(word, 30, 29) != 1 && (wide || !n);  // MOVN, MOVZ, MOVK
    case 6:                                                  // SBFM, BFM, UBFM
      return bits(word, 30, 29) != 3 && wide == n && (wide || (!bit(word, 21) && !bit(word, 15)));
    default:  // EXTR
      return bits(word, 30, 29) == 0 && !bit(word, 21) && wide == n && (wide || !bit(word, 15));
  }
}

bool plain_two_sources(std::uint32_t word) {
  const std::uint32_t opcode = bits(word, 15, 10);
  return !bit(word, 29) && (opcode == 2 || opcode == 3 || (opcode >= 8 && opcode <= 11));
}

bool plain_one_source(std::uint32_t word) {
  const std::uint32_t opcode = bits(word, 20, 10);
  return !bit(word, 29) && (opcode < 6) && (opcode != 3 || bit(word, 31));
}

bool plain_register(std::uint32_t word) {
  const bool wide = bit(word, 31);
  if (!bit(word, 28)) {
    const bool shift_fits = wide || !bit(word, 15);
    if (!bit(word, 24)) return shift_fits;                             // logical
    if (!bit(word, 21)) return bits(word, 23, 22) != 3 && shift_fits;  // shifted
    return bits(word, 23, 22) == 0 && bits(word, 12, 10) <= 4;         // extended
  }
  if (bit(word, 24)) {  // three sources: MADD and MSUB, the others are wide
    if (bits(word, 30, 29) != 0) return false;
    const std::uint32_t op31 = bits(word, 23, 21);
    if (op31 == 0) return true;
    const bool high = (op31 == 2 || op31 == 6) && bits(word, 15, 10) == 31;  // SMULH, UMULH
    return wide && (op31 == 1 || op31 == 5 || high);
  }
  switch (bits(word, 23, 21)) {
    case 0: return bits(word, 15, 10) == 0;                           // ADC, SBC
    case 2: return bit(word, 29) && !bit(word, 10) && !bit(word, 4);  // CCMN, CCMP
    case 4: return !bit(word, 29) && !bit(word, 11);                  // CSEL and its kin
    case 6: return bit(word, 30) ? plain_one_source(word) : plain_two_sources(word);
    default: return false;
  }
}

// ---- Loads and stores ---------------------------------------------------------------------------

/// A load or store pair of general-purpose registers.
bool plain_pair(std::uint32_t word) {
  const std::uint32_t opc = bits(word, 31, 30), rt = bits(word, 4, 0), rt2 = bits(word, 14, 10),
                      rn = bits(word, 9, 5);
  const bool loads = bit(word, 22), writes_back = bit(word, 23);
  if (bits(word, 24, 23) == 0 || bit(word, 26) || opc == 3 || opc == 1) return false;
  if (loads && rt == rt2) return false;
  return !writes_back || rn == 31 || (rn != rt && rn != rt2);
}

/// LDR, STR and their kin of a general-purpose register.
bool plain_single(std::uint32_t word) {
  const std::uint32_t size = bits(word, 31, 30), opc = bits(word, 23, 22);
  if (bit(word, 26) || (opc == 3 && size >= 2) || (opc == 2 && size == 3)) return false;
  if (bit(word, 24)) return true;                                      // unsigned offset
  if (bit(word, 21)) return bits(word, 11, 10) == 2 && bit(word, 14);  // register offset
  switch (bits(word, 11, 10)) {
    case 0: return true;   // unscaled
    case 2: return false;  // with EL0's rights
    default: {             // pre- and post-indexed
      const std::uint32_t rn = bits(word, 9, 5);
      return rn == 31 || rn != bits(word, 4, 0);
    }
  }
}

bool plain_memory(std::uint32_t word) {
  switch (bits(word, 29, 27)) {
    case 3: return !bit(word, 24) && !bit(word, 26) && bits(word, 31, 30) != 3;  // literal
    case 5: return plain_pair(word);
    case 7: return plain_single(word);
    default: return false;
  }
}

}  // namespace

BranchKind branch_kind(std::uint32_t word) {
  if ((word & 0x7c00'0000) == 0x1400'0000) {
    return bit(word, 31) ? BranchKind::kCall : BranchKind::kDirect;
  }
  // CBZ, CBNZ, TBZ, TBNZ; B.cond
  if ((word & 0x7c00'0000) == 0x3400'0000) return BranchKind::kConditional;
  if ((word & 0xff00'0010) == 0x5400'0000) return BranchKind::kConditional;
  switch (word & 0xffff'fc1f) {
    case 0xd61f'0000: return BranchKind::kIndirect;
    case 0xd63f'0000: return BranchKind::kIndirectCall;
    case 0xd65f'0000: return BranchKind::kReturn;
    default: return BranchKind::kNone;
  }
}

MemoryKind memory_kind(std::uint32_t word) {
  constexpr MemoryKind kLoad{.load = true}, kStore{.store = true};
  constexpr MemoryKind kBoth{.load = true, .store = true};
  if ((word & 0x0a00'0000) != 0x0800'0000) return {};
  const bool vector = bit(word, 26), prefetch_size = bits(word, 31, 30) == 3;
  switch (bits(word, 29, 28)) {
    case 1:  // literals
      if (bit(word, 24)) return bits(word, 23, 22) == 0 ? kStore : kLoad;
      return !vector && prefetch_size ? MemoryKind{} : kLoad;
    case 3: {  // one register
      const std::uint32_t opc = bits(word, 23, 22);
      const bool atomic = !bit(word, 24) && bit(word, 21) && bits(word, 11, 10) == 0;
      if (atomic && !vector) {
        const bool loads_only = bits(word, 15, 12) == 0xc;  // LDAPR
        return loads_only ? kLoad : kBoth;
      }
      if (vector) return (opc & 1) != 0 ? kLoad : kStore;
      if (opc == 0) return kStore;
      return opc == 2 && prefetch_size ? MemoryKind{} : kLoad;
    }
    default:  // exclusive, ordered, structures, pairs
      if (compares_and_swaps(word)) return kBoth;
      return bit(word, 22) ? kLoad : kStore;
  }
}

bool accesses_stack(std::uint32_t word) {
  if (bits(word, 9, 5) != kStackPointer) return false;
  const bool literal = bits(word, 29, 27) == 3 && !bit(word, 24);
  return !literal && memory_kind(word) != MemoryKind{};
}

namespace {
/// ADD and SUB to SP, of what is not SP or by what is not a multiple of 16; AND, ORR and EOR.
bool arithmetic_may_misalign(std::uint32_t word) {
  if (bits(word, 4, 0) != kStackPointer) return false;
  switch (bits(word, 28, 23)) {
    case 0x22: {  // ADD, SUB (immediate)
      const bool shifted = bit(word, 22), multiple = bits(word, 13, 10) == 0;
      return !bit(word, 29) && (bits(word, 9, 5) != kStackPointer || !(shifted || multiple));
    }
    case 0x24: return bits(word, 30, 29) != 3;          // AND, ORR, EOR (immediate)
    case 0x16: return !bit(word, 29) && bit(word, 21);  // ADD, SUB (extended register)
    default: return false;
  }
}

/// Accesses with SP as base that write back something that is not a multiple of 16.
bool access_may_misalign(std::uint32_t word) {
  switch (bits(word, 29, 27)) {
    case 1: return bit(word, 26) && bit(word, 23);  // structures
    case 5: {  // pairs: the immediate is in units of the access
      const unsigned opc = bits(word, 31, 30);
      const unsigned bytes = bit(word, 26) ? 4U << opc : opc == 2 ? 8 : 4;
      return bit(word, 23) && bits(word, 21, 15) * bytes % kStackAlignment != 0;
    }
    case 7:
      return !bit(word, 24) && !bit(word, 21) && bit(word, 10) &&
             bits(word, 20, 12) % kStackAlignment != 0;
    default: return false;
  }
}
}  // namespace

bool may_misalign_stack(std::uint32_t word) {
  return accesses_stack(word) ? access_may_misalign(word) : arithmetic_may_misalign(word);
}

namespace {
/// ADR, ADRP, MOVN and MOVZ depend on no register. Called for what is plain.
bool is_constant(std::uint32_t word) {
  const std::uint32_t kind = bits(word, 25, 23);
  return kind <= 1 || (kind == 5 && bits(word, 30, 29) != 3);
}
}  // namespace

Handling handling_of(std::uint32_t word) {
  const std::uint32_t group = bits(word, 28, 25);
  bool plain = false;
  if ((group & 0xe) == 0xa) return branch_or_system(word);
  if ((group & 0xe) == 0x8) {
    plain = plain_immediate(word);
    if (plain && bits(word, 4, 0) == 31 && is_constant(word)) return Handling::kNothing;
  }
  if ((group & 0x7) == 0x5) plain = plain_register(word);
  if ((group & 0x5) == 0x4) plain = plain_memory(word);
  return plain ? Handling::kPlain : Handling::kUnsure;
}

}  // namespace vpmu::machine::arm64
