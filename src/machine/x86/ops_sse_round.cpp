// SPDX-License-Identifier: MIT
//
// ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD, in integer arithmetic: hosts need not have SSE4.1.
#include <bit>
#include <limits>

#include "machine/x86/fp_environment.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

enum Rounding : unsigned { kNearest, kDown, kUp, kTowardsZero };

/// What to do with a lane: the rounding, and how exceptions and denormals go.
struct RoundControl {
  Rounding rounding;
  bool silent;              ///< no precision exception
  bool denormals_are_zero;  ///< MXCSR.DAZ
};

/// Bits of a format: T is the unsigned integer that holds it.
template <class T>
struct Format {
  static constexpr unsigned kFraction = sizeof(T) == 4 ? 23 : 52;
  static constexpr T kSign = T{1} << (8 * sizeof(T) - 1);
  static constexpr T kInfinity = (sizeof(T) == 4 ? T{0xff} : T{0x7ff}) << kFraction;
  static constexpr T kQuietBit = T{1} << (kFraction - 1);
  static constexpr int kBias = sizeof(T) == 4 ? 127 : 1023;
  static constexpr T kOne = T{kBias} << kFraction;
};

/// Is a magnitude with this lowest kept bit, first dropped bit and rest rounded away from zero?
bool rounds_away(Rounding rounding, bool negative, bool odd, bool half, bool rest) {
  switch (rounding) {
    case kNearest: return half && (rest || odd);
    case kDown: return negative && (half || rest);
    case kUp: return !negative && (half || rest);
    default: return false;
  }
}

template <class T>
T round_lane(T x, RoundControl control, std::uint32_t& flags) {
  using F = Format<T>;
  const T sign = x & F::kSign, magnitude = x & ~F::kSign;
  if (magnitude > F::kInfinity) {
    if (!(x & F::kQuietBit)) flags |= kMxcsrIe;
    return x | F::kQuietBit;
  }
  if (control.denormals_are_zero && magnitude < T{1} << F::kFraction) return sign;
  const int exponent = static_cast<int>(magnitude >> F::kFraction) - F::kBias;
  if (exponent >= static_cast<int>(F::kFraction) || magnitude == 0) return x;
  const bool negative = sign != 0;
  T result;
  bool exact = false;
  if (exponent < 0) {
    // Below one: the half bit is set from 0.5 on.
    const bool half = exponent == -1;
    const bool rest = !half || (magnitude & (F::kQuietBit * 2 - 1)) != 0;
    result = rounds_away(control.rounding, negative, false, half, rest) ? F::kOne : 0;
  } else {
    const unsigned dropped = F::kFraction - static_cast<unsigned>(exponent);
    const T unit = T{1} << dropped, fraction = magnitude & (unit - 1);
    const bool half = (fraction & unit / 2) != 0, rest = (fraction & (unit / 2 - 1)) != 0;
    exact = fraction == 0;
    result = magnitude - fraction;
    // A carry out of the fraction gives the next power of two, as it should.
    const bool odd = exponent == 0 || (magnitude & unit) != 0;
    if (rounds_away(control.rounding, negative, odd, half, rest)) result += unit;
  }
  if (!exact && !control.silent) flags |= kMxcsrPe;
  return sign | result;
}

/// kAll: every lane, else the lowest; the rest of the register is kept.
template <class T, bool kAll, bool kMemory>
const Op* round(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm source_value;
  if (!source < Xmm, kMemory, kAll ? 16 : sizeof(T) > (core, op, source_value)) [[unlikely]]
    return nullptr;
  const auto immediate = static_cast<unsigned>(op->immediate);
  const unsigned mode = immediate & 4 ? core.mxcsr >> 13 & 3 : immediate & 3;
  const RoundControl control{static_cast<Rounding>(mode), (immediate & 8) != 0,
                             (core.mxcsr & kMxcsrDaz) != 0};
  const auto from = lanes<T>(source_value);
  auto to = lanes<T>(core.xmm[op->reg]);
  std::uint32_t flags = 0;
  for (std::size_t i = 0; i < (kAll ? from.size() : 1); ++i)
    to[i] = round_lane<T>(from[i], control, flags);
  if (!note_exceptions(core, op, flags)) [[unlikely]]
    return nullptr;
  core.xmm[op->reg] = vector<Xmm>(to);
  VPMU_NEXT(core, op);
}

template <class T, bool kAll>
bool translate_round(const Instruction& in, Translation& out) {
  return set_simd(in, out, in.is_memory(1) ? round<T, kAll, true> : round<T, kAll, false>,
                  Cost::kSimdAdd);
}

}  // namespace

bool translate_sse_round(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_ROUNDPS: return translate_round<std::uint32_t, true>(in, out);
    case ZYDIS_MNEMONIC_ROUNDPD: return translate_round<std::uint64_t, true>(in, out);
    case ZYDIS_MNEMONIC_ROUNDSS: return translate_round<std::uint32_t, false>(in, out);
    case ZYDIS_MNEMONIC_ROUNDSD: return translate_round<std::uint64_t, false>(in, out);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
