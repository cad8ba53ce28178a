// SPDX-License-Identifier: MIT
//
// Conversions between integers, singles and doubles in XMM, MMX and general registers.
#include "machine/x86/fp_environment.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

// Each of these is one host instruction on vectors: `a` is the destination's old value.
struct SinglesToDoubles {
  static void run(__m128& a, __m128 b) { asm volatile("cvtps2pd %1, %0" : "=x"(a) : "x"(b)); }
};
struct DoublesToSingles {
  static void run(__m128& a, __m128 b) { asm volatile("cvtpd2ps %1, %0" : "=x"(a) : "x"(b)); }
};
struct SingleToDouble {
  static void run(__m128& a, __m128 b) { asm volatile("cvtss2sd %1, %0" : "+x"(a) : "x"(b)); }
};
struct DoubleToSingle {
  static void run(__m128& a, __m128 b) { asm volatile("cvtsd2ss %1, %0" : "+x"(a) : "x"(b)); }
};
struct IntsToSingles {
  static void run(__m128& a, __m128 b) { asm volatile("cvtdq2ps %1, %0" : "=x"(a) : "x"(b)); }
};
struct IntsToDoubles {
  static void run(__m128& a, __m128 b) { asm volatile("cvtdq2pd %1, %0" : "=x"(a) : "x"(b)); }
};
struct SinglesToInts {
  static void run(__m128& a, __m128 b) { asm volatile("cvtps2dq %1, %0" : "=x"(a) : "x"(b)); }
};
struct SinglesToIntsTruncated {
  static void run(__m128& a, __m128 b) { asm volatile("cvttps2dq %1, %0" : "=x"(a) : "x"(b)); }
};
struct DoublesToInts {
  static void run(__m128& a, __m128 b) { asm volatile("cvtpd2dq %1, %0" : "=x"(a) : "x"(b)); }
};
struct DoublesToIntsTruncated {
  static void run(__m128& a, __m128 b) { asm volatile("cvttpd2dq %1, %0" : "=x"(a) : "x"(b)); }
};

template <class F>
[[gnu::always_inline]] inline Xmm converted(const Xmm& to, const Xmm& from) {
  __m128 a = singles(to);
  F::run(a, singles(from));
  return bits(a);
}

template <class F, bool kMemory, unsigned kBytes>
const Op* convert(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory, kBytes>(core, op, b)) [[unlikely]]
    return nullptr;
  const Xmm a = core.xmm[op->reg];
  Xmm result;
  if (!under_guest_mxcsr(core, op, [&] { result = converted<F>(a, b); })) [[unlikely]]
    return nullptr;
  core.xmm[op->reg] = result;
  VPMU_NEXT(core, op);
}

// ---- MMX registers ------------------------------------------------------------------------------

/// CVTPI2PS (kept upper half) and CVTPI2PD. A memory source leaves the x87 state alone with
/// doubles.
template <class F, bool kToDoubles, bool kMemory>
const Op* convert_from_mmx(Core& core, const Op* op) {
  constexpr bool kUsesMmx = !(kToDoubles && kMemory);
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  if (kUsesMmx && !mmx_available(core, op)) [[unlikely]]
    return nullptr;
  Mmx b;
  if (!source<Mmx, kMemory>(core, op, b)) [[unlikely]]
    return nullptr;
  Xmm result;
  // The upper two integers are zero, which converts to zero without exceptions.
  if (!under_guest_mxcsr(core, op, [&] { result = converted<F>({}, {b.lo, 0}); })) [[unlikely]]
    return nullptr;
  if (!kToDoubles) result.hi = core.xmm[op->reg].hi;
  core.xmm[op->reg] = result;
  if (kUsesMmx) enter_mmx(core);
  VPMU_NEXT(core, op);
}

/// CVTPS2PI, CVTPD2PI and their truncating forms.
template <class F, unsigned kBytes, bool kMemory>
const Op* convert_to_mmx(Core& core, const Op* op) {
  if (!sse_available(core, op) || !mmx_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory, kBytes>(core, op, b)) [[unlikely]]
    return nullptr;
  if (kBytes == 8) b.hi = 0;
  Xmm result;
  if (!under_guest_mxcsr(core, op, [&] { result = converted<F>({}, b); })) [[unlikely]]
    return nullptr;
  write_vector<Mmx>(core, op->reg, {result.lo});
  VPMU_NEXT(core, op);
}

// ---- General registers --------------------------------------------------------------------------

enum class Float { kSingle, kDouble };

template <Float kTo, class T>
[[gnu::always_inline]] inline Xmm from_integer(const Xmm& to, T value) {
  __m128 a = singles(to);
  if constexpr (kTo == Float::kSingle && sizeof(T) == 4)
    asm volatile("cvtsi2ssl %1, %0" : "+x"(a) : "r"(value));
  if constexpr (kTo == Float::kSingle && sizeof(T) == 8)
    asm volatile("cvtsi2ssq %1, %0" : "+x"(a) : "r"(value));
  if constexpr (kTo == Float::kDouble && sizeof(T) == 4)
    asm volatile("cvtsi2sdl %1, %0" : "+x"(a) : "r"(value));
  if constexpr (kTo == Float::kDouble && sizeof(T) == 8)
    asm volatile("cvtsi2sdq %1, %0" : "+x"(a) : "r"(value));
  return bits(a);
}

template <Float kFrom, bool kTruncate, class T>
[[gnu::always_inline]] inline T to_integer(const Xmm& from) {
  const __m128 b = singles(from);
  T value;
  if constexpr (kFrom == Float::kSingle && !kTruncate)
    asm volatile("cvtss2si %1, %0" : "=r"(value) : "x"(b));
  if constexpr (kFrom == Float::kSingle && kTruncate)
    asm volatile("cvttss2si %1, %0" : "=r"(value) : "x"(b));
  if constexpr (kFrom == Float::kDouble && !kTruncate)
    asm volatile("cvtsd2si %1, %0" : "=r"(value) : "x"(b));
  if constexpr (kFrom == Float::kDouble && kTruncate)
    asm volatile("cvttsd2si %1, %0" : "=r"(value) : "x"(b));
  return value;
}

template <Float kTo, class T, bool kMemory>
const Op* convert_from_general(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  {
    T value;
    if constexpr (kMemory) {
      if (!load(core, op, linear_address(core, op), value)) [[unlikely]]
        return nullptr;
    } else {
      value = get<T>(core, op->rm);
    }
    const Xmm a = core.xmm[op->reg];
    Xmm result;
    if (!under_guest_mxcsr(core, op, [&] { result = from_integer<kTo, T>(a, value); })) [[unlikely]]
      return nullptr;
    core.xmm[op->reg] = result;
  }
  VPMU_NEXT(core, op);
}

template <Float kFrom, bool kTruncate, class T, bool kMemory>
const Op* convert_to_general(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source < Xmm, kMemory, kFrom == Float::kSingle ? 4 : 8 > (core, op, b)) [[unlikely]]
    return nullptr;
  T result;
  if (!under_guest_mxcsr(core, op, [&] { result = to_integer<kFrom, kTruncate, T>(b); }))
      [[unlikely]]
    return nullptr;
  set<T>(core, op->reg, result);
  VPMU_NEXT(core, op);
}

// ---- Translation --------------------------------------------------------------------------------

template <class F, unsigned kBytes>
bool translate_convert(const Instruction& in, Translation& out) {
  return set_simd(in, out, in.is_memory(1) ? convert<F, true, kBytes> : convert<F, false, kBytes>,
                  Cost::kSimdAdd);
}

template <class F, bool kToDoubles>
bool translate_from_mmx(const Instruction& in, Translation& out) {
  return set_simd(in, out,
                  in.is_memory(1) ? convert_from_mmx<F, kToDoubles, true>
                                  : convert_from_mmx<F, kToDoubles, false>,
                  Cost::kSimdAdd);
}

template <class F, unsigned kBytes>
bool translate_to_mmx(const Instruction& in, Translation& out) {
  return set_simd(
      in, out, in.is_memory(1) ? convert_to_mmx<F, kBytes, true> : convert_to_mmx<F, kBytes, false>,
      Cost::kSimdAdd);
}

template <Float kTo>
bool translate_from_general(const Instruction& in, Translation& out) {
  const bool memory = in.is_memory(1);
  if (in.operands[1].size == 64) {
    return set_simd(in, out,
                    memory ? convert_from_general<kTo, std::uint64_t, true>
                           : convert_from_general<kTo, std::uint64_t, false>,
                    Cost::kSimdAdd);
  }
  return set_simd(in, out,
                  memory ? convert_from_general<kTo, std::uint32_t, true>
                         : convert_from_general<kTo, std::uint32_t, false>,
                  Cost::kSimdAdd);
}

template <Float kFrom, bool kTruncate>
bool translate_to_general(const Instruction& in, Translation& out) {
  const bool memory = in.is_memory(1);
  if (is_gpr64(in, 0)) {
    return set_simd(in, out,
                    memory ? convert_to_general<kFrom, kTruncate, std::uint64_t, true>
                           : convert_to_general<kFrom, kTruncate, std::uint64_t, false>,
                    Cost::kSimdAdd);
  }
  return set_simd(in, out,
                  memory ? convert_to_general<kFrom, kTruncate, std::uint32_t, true>
                         : convert_to_general<kFrom, kTruncate, std::uint32_t, false>,
                  Cost::kSimdAdd);
}

}  // namespace

bool translate_sse_convert(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_CVTPS2PD: return translate_convert<SinglesToDoubles, 8>(in, out);
    case ZYDIS_MNEMONIC_CVTPD2PS: return translate_convert<DoublesToSingles, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTSS2SD: return translate_convert<SingleToDouble, 4>(in, out);
    case ZYDIS_MNEMONIC_CVTSD2SS: return translate_convert<DoubleToSingle, 8>(in, out);
    case ZYDIS_MNEMONIC_CVTDQ2PS: return translate_convert<IntsToSingles, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTDQ2PD: return translate_convert<IntsToDoubles, 8>(in, out);
    case ZYDIS_MNEMONIC_CVTPS2DQ: return translate_convert<SinglesToInts, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTTPS2DQ: return translate_convert<SinglesToIntsTruncated, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTPD2DQ: return translate_convert<DoublesToInts, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTTPD2DQ: return translate_convert<DoublesToIntsTruncated, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTPI2PS: return translate_from_mmx<IntsToSingles, false>(in, out);
    case ZYDIS_MNEMONIC_CVTPI2PD: return translate_from_mmx<IntsToDoubles, true>(in, out);
    case ZYDIS_MNEMONIC_CVTPS2PI: return translate_to_mmx<SinglesToInts, 8>(in, out);
    case ZYDIS_MNEMONIC_CVTTPS2PI: return translate_to_mmx<SinglesToIntsTruncated, 8>(in, out);
    case ZYDIS_MNEMONIC_CVTPD2PI: return translate_to_mmx<DoublesToInts, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTTPD2PI: return translate_to_mmx<DoublesToIntsTruncated, 16>(in, out);
    case ZYDIS_MNEMONIC_CVTSI2SS: return translate_from_general<Float::kSingle>(in, out);
    case ZYDIS_MNEMONIC_CVTSI2SD: return translate_from_general<Float::kDouble>(in, out);
    case ZYDIS_MNEMONIC_CVTSS2SI: return translate_to_general<Float::kSingle, false>(in, out);
    case ZYDIS_MNEMONIC_CVTTSS2SI: return translate_to_general<Float::kSingle, true>(in, out);
    case ZYDIS_MNEMONIC_CVTSD2SI: return translate_to_general<Float::kDouble, false>(in, out);
    case ZYDIS_MNEMONIC_CVTTSD2SI: return translate_to_general<Float::kDouble, true>(in, out);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
