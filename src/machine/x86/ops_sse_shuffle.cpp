// SPDX-License-Identifier: MIT
//
// Instructions that only move lanes about: pack, unpack, shuffle, align, blend, duplicate, widen.
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

/// Lanes of From, saturated to To: those of a below those of b.
template <class From, class To>
struct Pack {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<From>(a), y = lanes<From>(b);
    Lanes<To, V> r;
    for (std::size_t i = 0; i < x.size(); ++i) {
      r[i] = saturate<To>(x[i]);
      r[x.size() + i] = saturate<To>(y[i]);
    }
    return vector<V>(r);
  }
};

/// Interleaves the lower (or upper) halves.
template <class T, bool kUpper>
struct Unpack {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<T>(a), y = lanes<T>(b);
    Lanes<T, V> r;
    constexpr std::size_t kHalf = r.size() / 2, kFrom = kUpper ? kHalf : 0;
    for (std::size_t i = 0; i < kHalf; ++i) {
      r[2 * i] = x[kFrom + i];
      r[2 * i + 1] = y[kFrom + i];
    }
    return vector<V>(r);
  }
};

struct ShuffleBytes {
  template <class V>
  static V run(const V& a, const V& b) {
    const auto x = lanes<u8>(a), y = lanes<u8>(b);
    Lanes<u8, V> r;
    for (std::size_t i = 0; i < r.size(); ++i) r[i] = y[i] & 0x80 ? 0 : x[y[i] % r.size()];
    return vector<V>(r);
  }
};

/// Four lanes of b from kFirst on, each one of the four by two bits of the immediate.
template <class T, unsigned kFirst>
struct ShuffleFour {
  template <class V>
  static V run(const V&, const V& b, Immediate immediate) {
    const auto y = lanes<T>(b);
    auto r = y;
    for (unsigned i = 0; i < 4; ++i) r[kFirst + i] = y[kFirst + (immediate.value >> (2 * i) & 3)];
    return vector<V>(r);
  }
};

/// SHUFPS, SHUFPD: lower lanes of the result from a, upper ones from b.
template <class T>
struct ShuffleTwo {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate immediate) {
    const auto x = lanes<T>(a), y = lanes<T>(b);
    Lanes<T, Xmm> r;
    constexpr unsigned kLanes = r.size(), kBits = kLanes / 2;
    for (unsigned i = 0; i < kLanes; ++i) {
      const unsigned from = immediate.value >> (kBits * i) & (kLanes - 1);
      r[i] = i < kLanes / 2 ? x[from] : y[from];
    }
    return vector<Xmm>(r);
  }
};

struct AlignRight {
  template <class V>
  static V run(const V& a, const V& b, Immediate immediate) {
    constexpr unsigned kBytes = sizeof(V);
    const auto x = lanes<u8>(a), y = lanes<u8>(b);
    std::array<u8, kBytes> r{};
    for (unsigned i = 0; i < kBytes; ++i) {
      const unsigned from = immediate.value + i;
      if (from < 2 * kBytes) r[i] = from < kBytes ? y[from] : x[from - kBytes];
    }
    return vector<V>(r);
  }
};

/// Lane i from b if bit i of the immediate is set.
template <class T>
struct BlendImmediate {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate immediate) {
    auto r = lanes<T>(a);
    const auto y = lanes<T>(b);
    for (unsigned i = 0; i < r.size(); ++i) {
      if (immediate.value >> i & 1) r[i] = y[i];
    }
    return vector<Xmm>(r);
  }
};

/// Lane i from b if the top bit of the mask's lane is set.
template <class T>
struct BlendMask {
  static Xmm run(const Xmm& a, const Xmm& b, const Xmm& mask) {
    auto r = lanes<T>(a);
    const auto y = lanes<T>(b);
    const auto m = lanes<std::make_signed_t<T>>(mask);
    for (unsigned i = 0; i < r.size(); ++i) {
      if (m[i] < 0) r[i] = y[i];
    }
    return vector<Xmm>(r);
  }
};

/// Lane i of the result is lane (i with its lowest bit = kOdd) of b.
template <class T, unsigned kOdd>
struct Duplicate {
  static Xmm run(const Xmm&, const Xmm& b) {
    const auto y = lanes<T>(b);
    Lanes<T, Xmm> r;
    for (unsigned i = 0; i < r.size(); ++i) r[i] = y[(i & ~1u) | kOdd];
    return vector<Xmm>(r);
  }
};

/// The low lanes of b, zero- or sign-extended by From's type to To.
template <class From, class To>
struct Widen {
  static Xmm run(const Xmm&, const Xmm& b) {
    const auto y = lanes<From>(b);
    Lanes<To, Xmm> r;
    for (unsigned i = 0; i < r.size(); ++i) r[i] = static_cast<To>(y[i]);
    return vector<Xmm>(r);
  }
  static constexpr unsigned kBytes = 16 * sizeof(From) / sizeof(To);
};

/// INSERTPS; a memory source has one lane only.
template <bool kMemory>
struct InsertSingle {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate immediate) {
    auto r = lanes<u32>(a);
    r[immediate.value >> 4 & 3] = lanes<u32>(b)[kMemory ? 0 : immediate.value >> 6];
    for (unsigned i = 0; i < 4; ++i) {
      if (immediate.value >> i & 1) r[i] = 0;
    }
    return vector<Xmm>(r);
  }
};

template <class From, class To>
constexpr VectorForms widen_forms(ZydisMnemonic mnemonic) {
  return xmm_forms<Widen<From, To>, Widen<From, To>::kBytes>(mnemonic);
}

constexpr VectorForms kPshufw = {ZYDIS_MNEMONIC_PSHUFW, nullptr, nullptr,
                                 vector_binary<ShuffleFour<u16, 0>, Mmx, false>,
                                 vector_binary<ShuffleFour<u16, 0>, Mmx, true>};
constexpr VectorForms kInsertps = {ZYDIS_MNEMONIC_INSERTPS,
                                   vector_binary<InsertSingle<false>, Xmm, false>,
                                   vector_binary<InsertSingle<true>, Xmm, true, 4>};

constexpr std::array kForms = {
    both_forms<Pack<i16, i8>>(ZYDIS_MNEMONIC_PACKSSWB),
    both_forms<Pack<i32, i16>>(ZYDIS_MNEMONIC_PACKSSDW),
    both_forms<Pack<i16, u8>>(ZYDIS_MNEMONIC_PACKUSWB),
    xmm_forms<Pack<i32, u16>>(ZYDIS_MNEMONIC_PACKUSDW),
    both_forms<Unpack<u8, false>, 4>(ZYDIS_MNEMONIC_PUNPCKLBW),
    both_forms<Unpack<u16, false>, 4>(ZYDIS_MNEMONIC_PUNPCKLWD),
    both_forms<Unpack<u32, false>, 4>(ZYDIS_MNEMONIC_PUNPCKLDQ),
    xmm_forms<Unpack<u64, false>>(ZYDIS_MNEMONIC_PUNPCKLQDQ),
    both_forms<Unpack<u8, true>>(ZYDIS_MNEMONIC_PUNPCKHBW),
    both_forms<Unpack<u16, true>>(ZYDIS_MNEMONIC_PUNPCKHWD),
    both_forms<Unpack<u32, true>>(ZYDIS_MNEMONIC_PUNPCKHDQ),
    xmm_forms<Unpack<u64, true>>(ZYDIS_MNEMONIC_PUNPCKHQDQ),
    xmm_forms<Unpack<u32, false>>(ZYDIS_MNEMONIC_UNPCKLPS),
    xmm_forms<Unpack<u64, false>>(ZYDIS_MNEMONIC_UNPCKLPD),
    xmm_forms<Unpack<u32, true>>(ZYDIS_MNEMONIC_UNPCKHPS),
    xmm_forms<Unpack<u64, true>>(ZYDIS_MNEMONIC_UNPCKHPD),
    both_forms<ShuffleBytes>(ZYDIS_MNEMONIC_PSHUFB),
    xmm_forms<ShuffleFour<u32, 0>>(ZYDIS_MNEMONIC_PSHUFD),
    xmm_forms<ShuffleFour<u16, 0>>(ZYDIS_MNEMONIC_PSHUFLW),
    xmm_forms<ShuffleFour<u16, 4>>(ZYDIS_MNEMONIC_PSHUFHW),
    kPshufw,
    xmm_forms<ShuffleTwo<u32>>(ZYDIS_MNEMONIC_SHUFPS),
    xmm_forms<ShuffleTwo<u64>>(ZYDIS_MNEMONIC_SHUFPD),
    both_forms<AlignRight>(ZYDIS_MNEMONIC_PALIGNR),
    xmm_forms<BlendImmediate<u16>>(ZYDIS_MNEMONIC_PBLENDW),
    xmm_forms<BlendImmediate<u32>>(ZYDIS_MNEMONIC_BLENDPS),
    xmm_forms<BlendImmediate<u64>>(ZYDIS_MNEMONIC_BLENDPD),
    xmm_forms<BlendMask<u8>>(ZYDIS_MNEMONIC_PBLENDVB),
    xmm_forms<BlendMask<u32>>(ZYDIS_MNEMONIC_BLENDVPS),
    xmm_forms<BlendMask<u64>>(ZYDIS_MNEMONIC_BLENDVPD),
    xmm_forms<Duplicate<u32, 0>>(ZYDIS_MNEMONIC_MOVSLDUP),
    xmm_forms<Duplicate<u32, 1>>(ZYDIS_MNEMONIC_MOVSHDUP),
    xmm_forms<Duplicate<u64, 0>, 8>(ZYDIS_MNEMONIC_MOVDDUP),
    widen_forms<i8, i16>(ZYDIS_MNEMONIC_PMOVSXBW),
    widen_forms<i8, i32>(ZYDIS_MNEMONIC_PMOVSXBD),
    widen_forms<i8, i64>(ZYDIS_MNEMONIC_PMOVSXBQ),
    widen_forms<i16, i32>(ZYDIS_MNEMONIC_PMOVSXWD),
    widen_forms<i16, i64>(ZYDIS_MNEMONIC_PMOVSXWQ),
    widen_forms<i32, i64>(ZYDIS_MNEMONIC_PMOVSXDQ),
    widen_forms<u8, u16>(ZYDIS_MNEMONIC_PMOVZXBW),
    widen_forms<u8, u32>(ZYDIS_MNEMONIC_PMOVZXBD),
    widen_forms<u8, u64>(ZYDIS_MNEMONIC_PMOVZXBQ),
    widen_forms<u16, u32>(ZYDIS_MNEMONIC_PMOVZXWD),
    widen_forms<u16, u64>(ZYDIS_MNEMONIC_PMOVZXWQ),
    widen_forms<u32, u64>(ZYDIS_MNEMONIC_PMOVZXDQ),
    kInsertps,
};

}  // namespace

bool translate_sse_shuffle(const Instruction& in, Translation& out) {
  return translate_vector_forms(kForms, in, out);
}

}  // namespace vpmu::machine::x86
