// SPDX-License-Identifier: MIT
//
// What can be said about an instruction from its word alone: how it is counted, and whether the
// code generator may have it. Encodings as in the Arm ARM, C4.1.
#pragma once

#include <cstdint>

namespace vpmu::machine::arm64 {

inline constexpr std::uint64_t kInstructionBytes = 4;

/// UDF #0, which no code generator knows.
inline constexpr std::uint32_t kUndefinedWord = 0;
inline constexpr std::uint32_t kNopWord = 0xd503'201f;
/// MOV X0, X0: does as much as NOP, but something is compiled for it, which a block that ends
/// behind it needs.
inline constexpr std::uint32_t kIdleWord = 0xaa00'03e0;

/// Of what ends a block: which counters count it, and how it is predicted.
enum class BranchKind : std::uint8_t {
  kNone,
  kDirect,        ///< B
  kConditional,   ///< B.cond, CBZ, CBNZ, TBZ, TBNZ
  kIndirect,      ///< BR
  kCall,          ///< BL
  kIndirectCall,  ///< BLR
  kReturn,        ///< RET
};
[[nodiscard]] BranchKind branch_kind(std::uint32_t word);

/// Loads and stores as LD_RETIRED and ST_RETIRED count them: by instruction. Prefetches are
/// neither.
struct MemoryKind {
  bool load = false;
  bool store = false;
  friend bool operator==(const MemoryKind&, const MemoryKind&) = default;
};
[[nodiscard]] MemoryKind memory_kind(std::uint32_t word);

/// CAS and CASP with their kin, which are among the exclusive and ordered accesses.
[[nodiscard]] constexpr bool compares_and_swaps(std::uint32_t word) {
  const bool one = (word & 0x3fa0'7c00) == 0x08a0'7c00, pair = (word & 0xbfa0'7c00) == 0x0820'7c00;
  return one || pair;
}

/// Exclusive, acquire and release accesses: alignment faults whatever SCTLR says.
[[nodiscard]] constexpr bool must_be_aligned(std::uint32_t word) {
  return (word & 0x3f00'0000) == 0x0800'0000;
}

/// LDXR, LDAXR, LDXP, LDAXP.
[[nodiscard]] constexpr bool loads_exclusive(std::uint32_t word) {
  return (word & 0x3fc0'0000) == 0x0840'0000 && !compares_and_swaps(word);
}
/// STXR, STLXR, STXP, STLXP.
[[nodiscard]] constexpr bool stores_exclusive(std::uint32_t word) {
  return (word & 0x3fc0'0000) == 0x0800'0000 && !compares_and_swaps(word);
}
/// Of these: the number of the base register, 31 for SP, and the bytes accessed.
[[nodiscard]] constexpr unsigned exclusive_base(std::uint32_t word) {
  return word >> 5 & 31;
}
[[nodiscard]] constexpr unsigned exclusive_bytes(std::uint32_t word) {
  const bool pair = (word >> 21 & 1) != 0;
  return (1U << (word >> 30)) << (pair ? 1 : 0);
}

/// Loads and stores with SP as base. Prefetches do not care how it is aligned.
[[nodiscard]] bool accesses_stack(std::uint32_t word);
/// SP may be misaligned behind it (not a multiple of 16), though it was not before.
[[nodiscard]] bool may_misalign_stack(std::uint32_t word);

/// What the code generator is told about an instruction.
enum class Handling : std::uint8_t {
  kPlain,    ///< it runs it, and goes on with what is behind it
  kBranch,   ///< it runs it, and a block ends there
  kNothing,  ///< a hint, a barrier or a constant for XZR: does nothing here
  kCaught,   ///< it must not run it: the CPU does (emulate.hpp)
  kUnsure,   ///< depends on what it knows: has to be tried
};
/// For code of any exception level while FP is not trapped.
[[nodiscard]] Handling handling_of(std::uint32_t word);

}  // namespace vpmu::machine::arm64
