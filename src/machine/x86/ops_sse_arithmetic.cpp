// SPDX-License-Identifier: MIT
//
// Packed integer arithmetic, logic and comparison, MMX and SSE, up to SSE4.2; also the bitwise
// operations on floating-point registers, which are the same.
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

using i8 = std::int8_t;
using u8 = std::uint8_t;
using i16 = std::int16_t;
using u16 = std::uint16_t;
using i32 = std::int32_t;
using u32 = std::uint32_t;
using i64 = std::int64_t;
using u64 = std::uint64_t;

template <class T>
T add(T a, T b) {
  return static_cast<T>(a + b);
}
template <class T>
T subtract(T a, T b) {
  return static_cast<T>(a - b);
}
template <class T>
T add_saturated(T a, T b) {
  return saturate<T>(a + b);
}
template <class T>
T subtract_saturated(T a, T b) {
  return saturate<T>(a - b);
}
template <class T>
T minimum(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b) {
  return a > b ? a : b;
}
template <class T>
T equal(T a, T b) {
  return static_cast<T>(a == b ? -1 : 0);
}
template <class T>
T greater(T a, T b) {
  return static_cast<T>(a > b ? -1 : 0);
}
template <class T>
T average(T a, T b) {
  return static_cast<T>((a + b + 1) >> 1);
}
template <class T>
T multiply_low(T a, T b) {
  // Unsigned and at least 32 bits wide: neither promotion nor sign can overflow.
  return static_cast<T>(static_cast<u64>(a) * static_cast<u64>(b));
}
template <class T>
T multiply_high(T a, T b) {
  return static_cast<T>((Wider<T>{a} * Wider<T>{b}) >> (8 * sizeof(T)));
}
/// Of the even 32-bit lanes, to 64 bits.
u64 multiply_even_unsigned(u64 a, u64 b) {
  return u64{static_cast<u32>(a)} * static_cast<u32>(b);
}
u64 multiply_even_signed(u64 a, u64 b) {
  return static_cast<u64>(i64{static_cast<i32>(a)} * static_cast<i32>(b));
}
i16 multiply_rounded(i16 a, i16 b) {
  return static_cast<i16>((((a * b) >> 14) + 1) >> 1);
}
template <class T>
T sign(T a, T b) {
  using U = std::make_unsigned_t<T>;
  return b < 0 ? static_cast<T>(U{0} - static_cast<U>(a)) : b == 0 ? T{0} : a;
}
template <class T>
T absolute(T b) {
  return sign<T>(b, b < 0 ? -1 : 1);
}
u64 bit_and(u64 a, u64 b) {
  return a & b;
}
u64 bit_and_not(u64 a, u64 b) {
  return ~a & b;
}
u64 bit_or(u64 a, u64 b) {
  return a | b;
}
u64 bit_xor(u64 a, u64 b) {
  return a ^ b;
}

struct MultiplyAddWords {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<i16>(a), y = lanes<i16>(b);
    Lanes<u32, V> r;
    for (std::size_t i = 0; i < r.size(); ++i) {
      r[i] = static_cast<u32>(x[2 * i] * y[2 * i]) + static_cast<u32>(x[2 * i + 1] * y[2 * i + 1]);
    }
    return vector<V>(r);
  }
};

struct MultiplyAddBytes {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<u8>(a);
    const auto y = lanes<i8>(b);
    Lanes<i16, V> r;
    for (std::size_t i = 0; i < r.size(); ++i) {
      r[i] = saturate<i16>(x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]);
    }
    return vector<V>(r);
  }
};

struct SumOfDifferences {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<u8>(a), y = lanes<u8>(b);
    Lanes<u64, V> r{};
    for (std::size_t i = 0; i < x.size(); ++i) {
      r[i / 8] += static_cast<u64>(x[i] > y[i] ? x[i] - y[i] : y[i] - x[i]);
    }
    return vector<V>(r);
  }
};

struct MultipleSumsOfDifferences {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate immediate) {
    const auto x = lanes<u8>(a), y = lanes<u8>(b);
    const unsigned from_a = immediate.value & 4, from_b = (immediate.value & 3) * 4u;
    Lanes<u16, Xmm> r{};
    for (unsigned i = 0; i < 8; ++i) {
      for (unsigned k = 0; k < 4; ++k) {
        const int difference = x[from_a + i + k] - y[from_b + k];
        r[i] = static_cast<u16>(r[i] + (difference < 0 ? -difference : difference));
      }
    }
    return vector<Xmm>(r);
  }
};

struct HorizontalMinimum {
  static Xmm run(const Xmm&, const Xmm& b) {
    const auto y = lanes<u16>(b);
    unsigned at = 0;
    for (unsigned i = 1; i < 8; ++i) {
      if (y[i] < y[at]) at = i;
    }
    return {y[at] | u64{at} << 16, 0};
  }
};

constexpr std::array kForms = {
    both_forms<Each<u8, add>>(ZYDIS_MNEMONIC_PADDB),
    both_forms<Each<u16, add>>(ZYDIS_MNEMONIC_PADDW),
    both_forms<Each<u32, add>>(ZYDIS_MNEMONIC_PADDD),
    both_forms<Each<u64, add>>(ZYDIS_MNEMONIC_PADDQ),
    both_forms<Each<i8, add_saturated>>(ZYDIS_MNEMONIC_PADDSB),
    both_forms<Each<i16, add_saturated>>(ZYDIS_MNEMONIC_PADDSW),
    both_forms<Each<u8, add_saturated>>(ZYDIS_MNEMONIC_PADDUSB),
    both_forms<Each<u16, add_saturated>>(ZYDIS_MNEMONIC_PADDUSW),
    both_forms<Each<u8, subtract>>(ZYDIS_MNEMONIC_PSUBB),
    both_forms<Each<u16, subtract>>(ZYDIS_MNEMONIC_PSUBW),
    both_forms<Each<u32, subtract>>(ZYDIS_MNEMONIC_PSUBD),
    both_forms<Each<u64, subtract>>(ZYDIS_MNEMONIC_PSUBQ),
    both_forms<Each<i8, subtract_saturated>>(ZYDIS_MNEMONIC_PSUBSB),
    both_forms<Each<i16, subtract_saturated>>(ZYDIS_MNEMONIC_PSUBSW),
    both_forms<Each<u8, subtract_saturated>>(ZYDIS_MNEMONIC_PSUBUSB),
    both_forms<Each<u16, subtract_saturated>>(ZYDIS_MNEMONIC_PSUBUSW),
    both_forms<Each<u16, multiply_low>>(ZYDIS_MNEMONIC_PMULLW, Cost::kSimdMultiply),
    both_forms<Each<i16, multiply_high>>(ZYDIS_MNEMONIC_PMULHW, Cost::kSimdMultiply),
    both_forms<Each<u16, multiply_high>>(ZYDIS_MNEMONIC_PMULHUW, Cost::kSimdMultiply),
    both_forms<Each<u64, multiply_even_unsigned>>(ZYDIS_MNEMONIC_PMULUDQ, Cost::kSimdMultiply),
    xmm_forms<Each<u64, multiply_even_signed>>(ZYDIS_MNEMONIC_PMULDQ, Cost::kSimdMultiply),
    xmm_forms<Each<u32, multiply_low>>(ZYDIS_MNEMONIC_PMULLD, Cost::kSimdMultiply),
    both_forms<Each<i16, multiply_rounded>>(ZYDIS_MNEMONIC_PMULHRSW, Cost::kSimdMultiply),
    both_forms<MultiplyAddWords>(ZYDIS_MNEMONIC_PMADDWD, Cost::kSimdMultiply),
    both_forms<MultiplyAddBytes>(ZYDIS_MNEMONIC_PMADDUBSW, Cost::kSimdMultiply),
    both_forms<SumOfDifferences>(ZYDIS_MNEMONIC_PSADBW, Cost::kSimdMultiply),
    xmm_forms<MultipleSumsOfDifferences>(ZYDIS_MNEMONIC_MPSADBW, Cost::kSimdMultiply),
    xmm_forms<HorizontalMinimum>(ZYDIS_MNEMONIC_PHMINPOSUW),
    both_forms<Each<u8, average>>(ZYDIS_MNEMONIC_PAVGB),
    both_forms<Each<u16, average>>(ZYDIS_MNEMONIC_PAVGW),
    xmm_forms<Each<i8, minimum>>(ZYDIS_MNEMONIC_PMINSB),
    both_forms<Each<i16, minimum>>(ZYDIS_MNEMONIC_PMINSW),
    xmm_forms<Each<i32, minimum>>(ZYDIS_MNEMONIC_PMINSD),
    both_forms<Each<u8, minimum>>(ZYDIS_MNEMONIC_PMINUB),
    xmm_forms<Each<u16, minimum>>(ZYDIS_MNEMONIC_PMINUW),
    xmm_forms<Each<u32, minimum>>(ZYDIS_MNEMONIC_PMINUD),
    xmm_forms<Each<i8, maximum>>(ZYDIS_MNEMONIC_PMAXSB),
    both_forms<Each<i16, maximum>>(ZYDIS_MNEMONIC_PMAXSW),
    xmm_forms<Each<i32, maximum>>(ZYDIS_MNEMONIC_PMAXSD),
    both_forms<Each<u8, maximum>>(ZYDIS_MNEMONIC_PMAXUB),
    xmm_forms<Each<u16, maximum>>(ZYDIS_MNEMONIC_PMAXUW),
    xmm_forms<Each<u32, maximum>>(ZYDIS_MNEMONIC_PMAXUD),
    both_forms<Each<u8, equal>>(ZYDIS_MNEMONIC_PCMPEQB),
    both_forms<Each<u16, equal>>(ZYDIS_MNEMONIC_PCMPEQW),
    both_forms<Each<u32, equal>>(ZYDIS_MNEMONIC_PCMPEQD),
    xmm_forms<Each<u64, equal>>(ZYDIS_MNEMONIC_PCMPEQQ),
    both_forms<Each<i8, greater>>(ZYDIS_MNEMONIC_PCMPGTB),
    both_forms<Each<i16, greater>>(ZYDIS_MNEMONIC_PCMPGTW),
    both_forms<Each<i32, greater>>(ZYDIS_MNEMONIC_PCMPGTD),
    xmm_forms<Each<i64, greater>>(ZYDIS_MNEMONIC_PCMPGTQ),
    both_forms<Horizontal<u16, add>>(ZYDIS_MNEMONIC_PHADDW),
    both_forms<Horizontal<u32, add>>(ZYDIS_MNEMONIC_PHADDD),
    both_forms<Horizontal<i16, add_saturated>>(ZYDIS_MNEMONIC_PHADDSW),
    both_forms<Horizontal<u16, subtract>>(ZYDIS_MNEMONIC_PHSUBW),
    both_forms<Horizontal<u32, subtract>>(ZYDIS_MNEMONIC_PHSUBD),
    both_forms<Horizontal<i16, subtract_saturated>>(ZYDIS_MNEMONIC_PHSUBSW),
    both_forms<Each<i8, sign>>(ZYDIS_MNEMONIC_PSIGNB),
    both_forms<Each<i16, sign>>(ZYDIS_MNEMONIC_PSIGNW),
    both_forms<Each<i32, sign>>(ZYDIS_MNEMONIC_PSIGND),
    both_forms<EachSource<i8, absolute>>(ZYDIS_MNEMONIC_PABSB),
    both_forms<EachSource<i16, absolute>>(ZYDIS_MNEMONIC_PABSW),
    both_forms<EachSource<i32, absolute>>(ZYDIS_MNEMONIC_PABSD),
    both_forms<Each<u64, bit_and>>(ZYDIS_MNEMONIC_PAND),
    both_forms<Each<u64, bit_and_not>>(ZYDIS_MNEMONIC_PANDN),
    both_forms<Each<u64, bit_or>>(ZYDIS_MNEMONIC_POR),
    both_forms<Each<u64, bit_xor>>(ZYDIS_MNEMONIC_PXOR),
    xmm_forms<Each<u64, bit_and>>(ZYDIS_MNEMONIC_ANDPS),
    xmm_forms<Each<u64, bit_and>>(ZYDIS_MNEMONIC_ANDPD),
    xmm_forms<Each<u64, bit_and_not>>(ZYDIS_MNEMONIC_ANDNPS),
    xmm_forms<Each<u64, bit_and_not>>(ZYDIS_MNEMONIC_ANDNPD),
    xmm_forms<Each<u64, bit_or>>(ZYDIS_MNEMONIC_ORPS),
    xmm_forms<Each<u64, bit_or>>(ZYDIS_MNEMONIC_ORPD),
    xmm_forms<Each<u64, bit_xor>>(ZYDIS_MNEMONIC_XORPS),
    xmm_forms<Each<u64, bit_xor>>(ZYDIS_MNEMONIC_XORPD),
};

}  // namespace

bool translate_sse_arithmetic(const Instruction& in, Translation& out) {
  return translate_vector_forms(kForms, in, out);
}

}  // namespace vpmu::machine::x86
