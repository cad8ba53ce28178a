// SPDX-License-Identifier: MIT
//
// Lazy arithmetic flags: instructions leave their operands or result in Core::lazy, and the flags
// are worked out by whoever reads them. Which members count depends on the kind; see FlagKind.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// ZF, SF and PF of a result.
template <class T>
[[gnu::always_inline]] inline std::uint64_t result_flags(T result) {
  std::uint64_t flags = 0;
  if (result == 0) flags |= kZf;
  if (result >> (8 * sizeof(T) - 1) & 1) flags |= kSf;
  if (std::popcount(static_cast<std::uint8_t>(result)) % 2 == 0) flags |= kPf;
  return flags;
}

/// The six arithmetic flags in RFLAGS positions.
std::uint64_t arithmetic_flags(const LazyFlags& lazy);

/// Sets the six arithmetic flags to given values (other bits of `flags` are ignored).
[[gnu::always_inline]] inline void set_arithmetic_flags(Core& core, std::uint64_t flags) {
  core.lazy.kind = FlagKind::kKnown;
  core.lazy.result = flags & kArithmeticFlags;
}

/// CF alone, without working out the rest.
bool carry_of_any(const LazyFlags& lazy);
[[gnu::always_inline]] inline bool carry(const LazyFlags& lazy) {
  // Operands are zero-extended, so the usual kinds need not know the size.
  if (lazy.kind == FlagKind::kSub) return lazy.a < lazy.b;
  if (lazy.kind == FlagKind::kInc || lazy.kind == FlagKind::kDec) return lazy.b != 0;
  return carry_of_any(lazy);
}
inline bool carry(const Core& core) {
  return carry(core.lazy);
}

/// All of RFLAGS as PUSHF sees it.
inline std::uint64_t rflags(const Core& core) {
  return core.rflags | arithmetic_flags(core.lazy) | 2;
}

// What instructions leave behind. Operands are zero-extended.
template <class T>
[[gnu::always_inline]] inline void note_add(Core& core, T a, T b) {
  core.lazy.a = a;
  core.lazy.b = b;
  core.lazy.kind = FlagKind::kAdd;
  core.lazy.bits = 8 * sizeof(T);
}
template <class T>
[[gnu::always_inline]] inline void note_sub(Core& core, T a, T b) {
  core.lazy.a = a;
  core.lazy.b = b;
  core.lazy.kind = FlagKind::kSub;
  core.lazy.bits = 8 * sizeof(T);
}
template <class T>
[[gnu::always_inline]] inline void note_logic(Core& core, T result) {
  core.lazy.result = result;
  core.lazy.kind = FlagKind::kLogic;
  core.lazy.bits = 8 * sizeof(T);
}
/// ADC and SBB: `result` tells the carry in.
template <class T>
[[gnu::always_inline]] inline void note_with_carry(Core& core, FlagKind kind, T a, T b, T result) {
  core.lazy.a = a;
  core.lazy.b = b;
  core.lazy.result = result;
  core.lazy.kind = kind;
  core.lazy.bits = 8 * sizeof(T);
}
/// INC and DEC keep CF.
template <class T>
[[gnu::always_inline]] inline void note_step(Core& core, FlagKind kind, T result) {
  core.lazy.b = carry(core);
  core.lazy.result = result;
  core.lazy.kind = kind;
  core.lazy.bits = 8 * sizeof(T);
}

/// A condition code as encoded in Jcc, SETcc and CMOVcc (bit 0 negates), for any kind of flags.
bool condition(const LazyFlags& lazy, unsigned code);

/// The same where the kind and size of the flags and the code are known when compiled.
template <unsigned Code, FlagKind Kind, class T>
[[gnu::always_inline]] inline bool condition_known(const LazyFlags& lazy) {
  using Signed = std::make_signed_t<T>;
  constexpr bool kNegate = (Code & 1) != 0;
  if constexpr (Kind == FlagKind::kSub) {
    const auto a = static_cast<T>(lazy.a);
    const auto b = static_cast<T>(lazy.b);
    const auto sa = static_cast<Signed>(a);
    const auto sb = static_cast<Signed>(b);
    switch (Code >> 1) {
      case 1: return (a < b) != kNegate;                                           // B
      case 2: return (a == b) != kNegate;                                          // E
      case 3: return (a <= b) != kNegate;                                          // BE
      case 4: return (static_cast<Signed>(static_cast<T>(a - b)) < 0) != kNegate;  // S
      case 6: return (sa < sb) != kNegate;                                         // L
      case 7: return (sa <= sb) != kNegate;                                        // LE
      default: return condition(lazy, Code);
    }
  } else if constexpr (Kind == FlagKind::kLogic) {
    const auto result = static_cast<T>(lazy.result);
    const auto value = static_cast<Signed>(result);
    switch (Code >> 1) {
      case 0:
      case 1: return kNegate;  // O, B: both clear
      case 2:
      case 3: return (result == 0) != kNegate;  // E, BE
      case 4:
      case 6: return (value < 0) != kNegate;   // S, L
      case 7: return (value <= 0) != kNegate;  // LE
      default: return condition(lazy, Code);
    }
  } else {
    return condition(lazy, Code);
  }
}

}  // namespace vpmu::machine::x86
