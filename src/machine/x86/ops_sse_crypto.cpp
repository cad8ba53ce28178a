// SPDX-License-Identifier: MIT
//
// AES-NI and PCLMULQDQ, in portable code: FIPS 197 with tables that are computed at compile time.
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

using Byte = std::uint8_t;
using State = std::array<Byte, 16>;  // column by column, as in memory

/// Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
constexpr Byte times_x(Byte a) {
  return static_cast<Byte>(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

constexpr Byte multiply(Byte a, Byte b) {
  Byte product = 0;
  for (; b != 0; b = static_cast<Byte>(b >> 1), a = times_x(a)) {
    if (b & 1) product ^= a;
  }
  return product;
}

struct Boxes {
  std::array<Byte, 256> forward{};
  std::array<Byte, 256> inverse{};
};

/// FIPS 197, 5.1.1: the inverse in GF(2^8), then an affine transformation.
constexpr Boxes make_boxes() {
  Boxes boxes;
  // 3 generates the field: p runs through all elements but 0, q through their inverses.
  Byte p = 1, q = 1;
  do {
    p = multiply(p, 3);
    q = multiply(q, 0xf6);
    Byte value = 0x63;
    for (int i = 0; i < 5; ++i) value ^= static_cast<Byte>(std::rotl(q, i));
    boxes.forward[p] = value;
  } while (p != 1);
  boxes.forward[0] = 0x63;
  for (unsigned i = 0; i < 256; ++i) boxes.inverse[boxes.forward[i]] = static_cast<Byte>(i);
  return boxes;
}

constexpr Boxes kBoxes = make_boxes();
static_assert(kBoxes.forward[0x53] == 0xed);

/// SubBytes and ShiftRows (or their inverses).
template <bool kInverse>
State substitute_and_shift(const State& s) {
  State r{};
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      const unsigned from = kInverse ? (column + 4 - row) % 4 : (column + row) % 4;
      r[4 * column + row] = (kInverse ? kBoxes.inverse : kBoxes.forward)[s[4 * from + row]];
    }
  }
  return r;
}

/// A byte's contribution to its column, if it is the first: its products with the first column of
/// the matrix. That of a byte further down is the same, rotated.
using MixTable = std::array<std::uint32_t, 256>;

constexpr MixTable make_mix_table(const std::array<Byte, 4>& factors) {
  MixTable table{};
  for (unsigned x = 0; x < 256; ++x) {
    for (unsigned row = 0; row < 4; ++row) {
      table[x] |= std::uint32_t{multiply(static_cast<Byte>(x), factors[row])} << (8 * row);
    }
  }
  return table;
}

constexpr MixTable kMix = make_mix_table({2, 1, 1, 3});
constexpr MixTable kInverseMix = make_mix_table({14, 9, 13, 11});

template <bool kInverse>
State mix_columns(const State& s) {
  const MixTable& table = kInverse ? kInverseMix : kMix;
  std::array<std::uint32_t, 4> r{};
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      r[column] ^= std::rotl(table[s[4 * column + row]], static_cast<int>(8 * row));
    }
  }
  return std::bit_cast<State>(r);
}

template <bool kInverse, bool kLast>
struct Round {
  static Xmm run(const Xmm& a, const Xmm& key) {
    State s = substitute_and_shift<kInverse>(lanes<Byte>(a));
    if constexpr (!kLast) s = mix_columns<kInverse>(s);
    const Xmm mixed = vector<Xmm>(s);
    return {mixed.lo ^ key.lo, mixed.hi ^ key.hi};
  }
};

struct InverseMixColumns {
  static Xmm run(const Xmm&, const Xmm& b) {
    return vector<Xmm>(mix_columns<true>(lanes<Byte>(b)));
  }
};

struct KeyGenerationAssist {
  static Xmm run(const Xmm&, const Xmm& b, Immediate round_constant) {
    const auto y = lanes<std::uint32_t>(b);
    const auto substitute = [](std::uint32_t word) {
      auto bytes = std::bit_cast<std::array<Byte, 4>>(word);
      for (Byte& byte : bytes) byte = kBoxes.forward[byte];
      return std::bit_cast<std::uint32_t>(bytes);
    };
    const std::uint32_t one = substitute(y[1]), three = substitute(y[3]);
    return vector<Xmm>(std::array<std::uint32_t, 4>{one, std::rotr(one, 8) ^ round_constant.value,
                                                    three,
                                                    std::rotr(three, 8) ^ round_constant.value});
  }
};

struct CarrylessMultiply {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate select) {
    const std::uint64_t x = select.value & 1 ? a.hi : a.lo, y = select.value & 16 ? b.hi : b.lo;
    Xmm r{};
    for (unsigned i = 0; i < 64; ++i) {
      const std::uint64_t term = y >> i & 1 ? x : 0;
      r.lo ^= term << i;
      r.hi ^= i == 0 ? 0 : term >> (64 - i);
    }
    return r;
  }
};

constexpr std::array kForms = {
    xmm_forms<Round<false, false>>(ZYDIS_MNEMONIC_AESENC, Cost::kCrypto),
    xmm_forms<Round<false, true>>(ZYDIS_MNEMONIC_AESENCLAST, Cost::kCrypto),
    xmm_forms<Round<true, false>>(ZYDIS_MNEMONIC_AESDEC, Cost::kCrypto),
    xmm_forms<Round<true, true>>(ZYDIS_MNEMONIC_AESDECLAST, Cost::kCrypto),
    xmm_forms<InverseMixColumns>(ZYDIS_MNEMONIC_AESIMC, Cost::kCrypto),
    xmm_forms<KeyGenerationAssist>(ZYDIS_MNEMONIC_AESKEYGENASSIST, Cost::kCrypto),
    xmm_forms<CarrylessMultiply>(ZYDIS_MNEMONIC_PCLMULQDQ, Cost::kCrypto),
};

}  // namespace

bool translate_sse_crypto(const Instruction& in, Translation& out) {
  return translate_vector_forms(kForms, in, out);
}

}  // namespace vpmu::machine::x86
