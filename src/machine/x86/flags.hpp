// SPDX-License-Identifier: MIT
//
// Lazy arithmetic flags: instructions leave their operands and result in Core::lazy, and the flags
// are worked out by whoever reads them.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// The six arithmetic flags in RFLAGS positions.
std::uint64_t arithmetic_flags(const LazyFlags& lazy);

/// Sets the six arithmetic flags to given values (other bits of `flags` are ignored).
[[gnu::always_inline]] inline void set_arithmetic_flags(Core& core, std::uint64_t flags) {
  core.lazy.kind = FlagKind::kKnown;
  core.lazy.result = flags & kArithmeticFlags;
}

[[gnu::always_inline]] inline bool carry(const Core& core) {
  return (arithmetic_flags(core.lazy) & kCf) != 0;
}

/// All of RFLAGS as PUSHF sees it.
inline std::uint64_t rflags(const Core& core) {
  return core.rflags | arithmetic_flags(core.lazy) | 2;
}

template <class T>
[[gnu::always_inline]] inline void note(Core& core, FlagKind kind, T a, T b, T result) {
  static_assert(std::is_unsigned_v<T>);
  core.lazy.a = a;
  core.lazy.b = b;
  core.lazy.result = result;
  core.lazy.kind = kind;
  core.lazy.bits = 8 * sizeof(T);
}

/// ZF, SF and PF of a result.
template <class T>
[[gnu::always_inline]] inline std::uint64_t result_flags(T result) {
  std::uint64_t flags = 0;
  if (result == 0) flags |= kZf;
  if (result >> (8 * sizeof(T) - 1) & 1) flags |= kSf;
  if (std::popcount(static_cast<std::uint8_t>(result)) % 2 == 0) flags |= kPf;
  return flags;
}

/// Condition codes as encoded in Jcc, SETcc and CMOVcc: bit 0 negates.
bool condition(const LazyFlags& lazy, unsigned code);

}  // namespace vpmu::machine::x86
