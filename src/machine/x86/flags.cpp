// SPDX-License-Identifier: MIT
#include "machine/x86/flags.hpp"

namespace vpmu::machine::x86 {

namespace {

/// AF comes out of the operands and the result alike for additions and subtractions.
constexpr std::uint64_t adjust(std::uint64_t a, std::uint64_t b, std::uint64_t result) {
  return ((a ^ b ^ result) & 0x10) != 0 ? kAf : 0;
}

template <class T>
bool carry_of(const LazyFlags& lazy) {
  const T a = static_cast<T>(lazy.a);
  const T b = static_cast<T>(lazy.b);
  const T result = static_cast<T>(lazy.result);
  switch (lazy.kind) {
    case FlagKind::kKnown: return (lazy.result & kCf) != 0;
    case FlagKind::kAdd: return static_cast<T>(a + b) < a;
    case FlagKind::kSub: return a < b;
    case FlagKind::kLogic: return false;
    // With a carry in, result == a is a carry only if b is all ones.
    case FlagKind::kAdc: return result < a || (result == a && static_cast<T>(a + b) != result);
    case FlagKind::kSbb: return a < b || (a == b && result != 0);
    case FlagKind::kInc:
    case FlagKind::kDec: return lazy.b != 0;
  }
  return false;
}

template <class T>
std::uint64_t all_of(const LazyFlags& lazy) {
  constexpr unsigned kTop = 8 * sizeof(T) - 1;
  const T a = static_cast<T>(lazy.a);
  const T b = static_cast<T>(lazy.b);
  T result = static_cast<T>(lazy.result);
  std::uint64_t flags = carry_of<T>(lazy) ? kCf : 0;
  switch (lazy.kind) {
    case FlagKind::kKnown: return lazy.result;
    case FlagKind::kLogic: break;
    case FlagKind::kAdd:
    case FlagKind::kAdc:
      if (lazy.kind == FlagKind::kAdd) result = static_cast<T>(a + b);
      flags |= adjust(a, b, result);
      if (((a ^ result) & (b ^ result)) >> kTop & 1) flags |= kOf;
      break;
    case FlagKind::kSub:
    case FlagKind::kSbb:
      if (lazy.kind == FlagKind::kSub) result = static_cast<T>(a - b);
      flags |= adjust(a, b, result);
      if (((a ^ b) & (a ^ result)) >> kTop & 1) flags |= kOf;
      break;
    case FlagKind::kInc:
      if ((result & 0xf) == 0) flags |= kAf;
      if (result == static_cast<T>(T{1} << kTop)) flags |= kOf;
      break;
    case FlagKind::kDec:
      if ((result & 0xf) == 0xf) flags |= kAf;
      if (result == static_cast<T>((T{1} << kTop) - 1)) flags |= kOf;
      break;
  }
  return flags | result_flags(result);
}

}  // namespace

bool carry_of_any(const LazyFlags& lazy) {
  switch (lazy.bits) {
    case 8: return carry_of<std::uint8_t>(lazy);
    case 16: return carry_of<std::uint16_t>(lazy);
    case 32: return carry_of<std::uint32_t>(lazy);
    default: return carry_of<std::uint64_t>(lazy);
  }
}

std::uint64_t arithmetic_flags(const LazyFlags& lazy) {
  switch (lazy.bits) {
    case 8: return all_of<std::uint8_t>(lazy);
    case 16: return all_of<std::uint16_t>(lazy);
    case 32: return all_of<std::uint32_t>(lazy);
    default: return all_of<std::uint64_t>(lazy);
  }
}

bool condition(const LazyFlags& lazy, unsigned code) {
  const std::uint64_t flags = arithmetic_flags(lazy);
  const bool sign_differs = ((flags & kSf) != 0) != ((flags & kOf) != 0);
  bool holds = false;
  switch (code >> 1 & 7) {
    case 0: holds = (flags & kOf) != 0; break;
    case 1: holds = (flags & kCf) != 0; break;
    case 2: holds = (flags & kZf) != 0; break;
    case 3: holds = (flags & (kCf | kZf)) != 0; break;
    case 4: holds = (flags & kSf) != 0; break;
    case 5: holds = (flags & kPf) != 0; break;
    case 6: holds = sign_differs; break;
    case 7: holds = sign_differs || (flags & kZf) != 0; break;
  }
  return holds != ((code & 1) != 0);
}

}  // namespace vpmu::machine::x86
