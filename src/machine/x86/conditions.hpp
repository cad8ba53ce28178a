// SPDX-License-Identifier: MIT
//
// Condition codes: from mnemonics to codes, and the choice of a handler that knows its code and,
// where the block tells, how the flags were left.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "machine/x86/flags.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

// clang-format off
inline constexpr std::array<ZydisMnemonic, 16> kJccByCode = {
    ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB, ZYDIS_MNEMONIC_JNB,
    ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
    ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP, ZYDIS_MNEMONIC_JNP,
    ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};
inline constexpr std::array<ZydisMnemonic, 16> kSetccByCode = {
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB, ZYDIS_MNEMONIC_SETNB,
    ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
    ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP, ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE};
inline constexpr std::array<ZydisMnemonic, 16> kCmovByCode = {
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_CMOVNB,
    ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
    ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE};
// clang-format on

/// The condition code of a mnemonic in one of the tables above; -1: not in it.
inline int condition_of(const std::array<ZydisMnemonic, 16>& table, ZydisMnemonic mnemonic) {
  for (int code = 0; code < 16; ++code) {
    if (table[static_cast<std::size_t>(code)] == mnemonic) return code;
  }
  return -1;
}

namespace internal {
template <FlagKind kKind, class T, class Choose, std::size_t... kCodes>
Handler pick_code(unsigned code, Choose& choose, std::index_sequence<kCodes...>) {
  Handler handler = nullptr;
  ((code == kCodes
        ? void(handler = choose.template operator()<static_cast<unsigned>(kCodes), kKind, T>())
        : void()),
   ...);
  return handler;
}
}  // namespace internal

/// Picks an instantiation of `choose` by code and, where known, by the kind and size of the flags
/// (FlagKind::kKnown: not known; then T does not matter).
template <class Choose>
Handler pick_condition(const Instruction& in, unsigned code, Choose choose) {
  constexpr auto kCodes = std::make_index_sequence<16>{};
  const auto by_size = [&]<FlagKind kKind>() {
    switch (in.flags_bits) {
      case 8: return internal::pick_code<kKind, std::uint8_t>(code, choose, kCodes);
      case 32: return internal::pick_code<kKind, std::uint32_t>(code, choose, kCodes);
      case 64: return internal::pick_code<kKind, std::uint64_t>(code, choose, kCodes);
      default: return internal::pick_code<FlagKind::kKnown, std::uint64_t>(code, choose, kCodes);
    }
  };
  switch (in.flags_kind) {
    case FlagKind::kSub: return by_size.template operator()<FlagKind::kSub>();
    case FlagKind::kLogic: return by_size.template operator()<FlagKind::kLogic>();
    default: return internal::pick_code<FlagKind::kKnown, std::uint64_t>(code, choose, kCodes);
  }
}

}  // namespace vpmu::machine::x86
