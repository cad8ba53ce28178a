// SPDX-License-Identifier: MIT
//
// Floating-point arithmetic: add, subtract, multiply, divide, minimum, maximum, square root, the
// horizontal and alternating forms of SSE3, dot products, approximations, and MXCSR itself.
#include <bit>

#include "machine/x86/fp_environment.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

enum class Operation { kAdd, kSubtract, kMultiply, kDivide, kMinimum, kMaximum, kRoot };
enum class Lane { kPs, kPd, kSs, kSd };

constexpr unsigned bytes_read(Lane lane) {
  return lane == Lane::kSs ? 4 : lane == Lane::kSd ? 8 : 16;
}

/// One instruction on the host: a = a op b; what a scalar form does not compute stays a's.
template <Operation kOperation, Lane kLane>
[[gnu::always_inline]] inline Xmm compute(const Xmm& first, const Xmm& second) {
  __m128 a = singles(first);
  const __m128 b = singles(second);
  constexpr auto is = [](Operation operation, Lane lane) {
    return kOperation == operation && kLane == lane;
  };
  using enum Operation;
  if constexpr (is(kAdd, Lane::kPs)) asm volatile("addps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kAdd, Lane::kPd)) asm volatile("addpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kAdd, Lane::kSs)) asm volatile("addss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kAdd, Lane::kSd)) asm volatile("addsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kSubtract, Lane::kPs)) asm volatile("subps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kSubtract, Lane::kPd)) asm volatile("subpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kSubtract, Lane::kSs)) asm volatile("subss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kSubtract, Lane::kSd)) asm volatile("subsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMultiply, Lane::kPs)) asm volatile("mulps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMultiply, Lane::kPd)) asm volatile("mulpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMultiply, Lane::kSs)) asm volatile("mulss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMultiply, Lane::kSd)) asm volatile("mulsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kDivide, Lane::kPs)) asm volatile("divps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kDivide, Lane::kPd)) asm volatile("divpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kDivide, Lane::kSs)) asm volatile("divss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kDivide, Lane::kSd)) asm volatile("divsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMinimum, Lane::kPs)) asm volatile("minps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMinimum, Lane::kPd)) asm volatile("minpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMinimum, Lane::kSs)) asm volatile("minss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMinimum, Lane::kSd)) asm volatile("minsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMaximum, Lane::kPs)) asm volatile("maxps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMaximum, Lane::kPd)) asm volatile("maxpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMaximum, Lane::kSs)) asm volatile("maxss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kMaximum, Lane::kSd)) asm volatile("maxsd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kRoot, Lane::kPs)) asm volatile("sqrtps %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kRoot, Lane::kPd)) asm volatile("sqrtpd %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kRoot, Lane::kSs)) asm volatile("sqrtss %1, %0" : "+x"(a) : "x"(b));
  if constexpr (is(kRoot, Lane::kSd)) asm volatile("sqrtsd %1, %0" : "+x"(a) : "x"(b));
  return bits(a);
}

template <Operation kOperation, Lane kLane>
struct Compute {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate) { return compute<kOperation, kLane>(a, b); }
};

/// Handler for all of them: destination = F(destination, source), under the guest's MXCSR.
template <class F, bool kMemory, unsigned kBytes>
const Op* float_binary(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory, kBytes>(core, op, b)) [[unlikely]]
    return nullptr;
  const Xmm a = core.xmm[op->reg];
  const Immediate immediate{static_cast<std::uint8_t>(op->immediate)};
  Xmm result;
  if (!under_guest_mxcsr(core, op, [&] { result = F::run(a, b, immediate); })) [[unlikely]]
    return nullptr;
  core.xmm[op->reg] = result;
  VPMU_NEXT(core, op);
}

template <class T>
Xmm select_lanes(const Xmm& a, const Xmm& b, const std::array<unsigned, 16 / sizeof(T)>& from) {
  const auto x = lanes<T>(a), y = lanes<T>(b);
  Lanes<T, Xmm> r;
  for (std::size_t i = 0; i < r.size(); ++i)
    r[i] = from[i] < r.size() ? x[from[i]] : y[from[i] - r.size()];
  return vector<Xmm>(r);
}

/// HADDPS, HSUBPD and so on: even lanes of both operands with odd ones.
template <Operation kOperation, Lane kLane>
struct HorizontalFloat {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate) {
    if constexpr (kLane == Lane::kPs) {
      return compute<kOperation, kLane>(select_lanes<std::uint32_t>(a, b, {0, 2, 4, 6}),
                                        select_lanes<std::uint32_t>(a, b, {1, 3, 5, 7}));
    } else {
      return compute<kOperation, kLane>(select_lanes<std::uint64_t>(a, b, {0, 2}),
                                        select_lanes<std::uint64_t>(a, b, {1, 3}));
    }
  }
};

/// ADDSUBPS, ADDSUBPD: subtracts even lanes and adds odd ones. Each operation sees its own lanes
/// only (twice), so that it raises no exceptions of the others.
template <Lane kLane>
struct AddSubtract {
  static Xmm run(const Xmm& a, const Xmm& b, Immediate) {
    if constexpr (kLane == Lane::kPs) {
      const auto even = [](const Xmm& x) {
        return select_lanes<std::uint32_t>(x, x, {0, 0, 2, 2});
      };
      const auto odd = [](const Xmm& x) { return select_lanes<std::uint32_t>(x, x, {1, 1, 3, 3}); };
      return select_lanes<std::uint32_t>(compute<Operation::kSubtract, kLane>(even(a), even(b)),
                                         compute<Operation::kAdd, kLane>(odd(a), odd(b)),
                                         {0, 5, 2, 7});
    } else {
      const auto both = [](std::uint64_t x) { return Xmm{x, x}; };
      return {compute<Operation::kSubtract, kLane>(both(a.lo), both(b.lo)).lo,
              compute<Operation::kAdd, kLane>(both(a.hi), both(b.hi)).lo};
    }
  }
};

/// Lanes of `from` whose bit in `selected` is set; the others are +0.
template <class T>
Xmm keep(const Xmm& from, unsigned selected) {
  auto x = lanes<T>(from);
  for (unsigned i = 0; i < x.size(); ++i) {
    if (!(selected >> i & 1)) x[i] = 0;
  }
  return vector<Xmm>(x);
}

/// Lanes 0, 1 of the result are the sums of lanes 0 + 1, 2 + 3 (doubles: 0 + 1 in both), repeated.
template <Lane kLane>
Xmm add_neighbours(const Xmm& x) {
  if constexpr (kLane == Lane::kPs) {
    return compute<Operation::kAdd, kLane>(select_lanes<std::uint32_t>(x, x, {0, 2, 0, 2}),
                                           select_lanes<std::uint32_t>(x, x, {1, 3, 1, 3}));
  } else {
    return compute<Operation::kAdd, kLane>({x.lo, x.lo}, {x.hi, x.hi});
  }
}

/// DPPS, DPPD: the products that the upper four bits of the immediate select, summed in pairs, to
/// the lanes that the lower four select. What is not selected is +0 and raises nothing. An unmasked
/// exception of a step ends it there.
template <Lane kLane>
bool dot_product(Core& core, const Op* op, Xmm a, Xmm b, Xmm& result) {
  using T = std::conditional_t<kLane == Lane::kPs, std::uint32_t, std::uint64_t>;
  const auto immediate = static_cast<unsigned>(op->immediate);
  const unsigned in = immediate >> 4 & 15, out = immediate & 15;
  const Xmm x = keep<T>(a, in), y = keep<T>(b, in);
  Xmm sum;
  if (!under_guest_mxcsr(core, op, [&] { sum = compute<Operation::kMultiply, kLane>(x, y); }))
    return false;
  // Neighbours are added until all lanes hold the one sum: once or twice.
  for (unsigned count = 16 / sizeof(T); count > 1; count /= 2) {
    const Xmm addends = sum;
    if (!under_guest_mxcsr(core, op, [&] { sum = add_neighbours<kLane>(addends); })) return false;
  }
  result = keep<T>(sum, out);
  return true;
}

template <Lane kLane, bool kMemory>
const Op* dot_product_form(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory>(core, op, b)) [[unlikely]]
    return nullptr;
  if (!dot_product<kLane>(core, op, core.xmm[op->reg], b, core.xmm[op->reg])) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

// ---- Approximations -----------------------------------------------------------------------------
//
// RCPPS and RSQRTPS leave their result to the implementation, within 1.5 * 2^-12 of the exact one.
// Here it is the exact value rounded to 14 significant bits (half up), on every host. No
// exceptions; denormals count as zero.

constexpr std::uint32_t kSign = 0x8000'0000, kInfinity = 0x7f80'0000, kQuiet = 0x0040'0000,
                        kDefaultNan = 0xffc0'0000;

/// The single with `significand` (14 bits: 2^13 or more and at most 2^14) times 2^`exponent`.
std::uint32_t pack_approximation(std::uint32_t sign, std::uint64_t significand, int exponent) {
  if (significand == 1u << 14) {
    significand >>= 1;
    ++exponent;
  }
  const int biased = exponent + 13 + 127;
  if (biased <= 0) return sign;
  return sign | static_cast<std::uint32_t>(biased) << 23 |
         static_cast<std::uint32_t>(significand & 0x1fff) << 10;
}

std::uint32_t reciprocal(std::uint32_t x) {
  const std::uint32_t sign = x & kSign, magnitude = x & ~kSign;
  if (magnitude > kInfinity) return x | kQuiet;
  if (magnitude == kInfinity) return sign;
  if (magnitude < 0x0080'0000) return sign | kInfinity;
  const std::uint64_t m = (magnitude & 0x7f'ffff) | 0x80'0000;  // x = m * 2^(e - 150)
  const int e = static_cast<int>(magnitude >> 23);
  // 2^23 < m: 2^37 / m is in (2^13, 2^14].
  const std::uint64_t quotient = ((std::uint64_t{1} << 38) / m + 1) >> 1;
  return pack_approximation(sign, quotient, 150 - 37 - e);
}

std::uint64_t integer_root(std::uint64_t value) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 31; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= value) root |= bit;
  }
  return root;
}

std::uint32_t reciprocal_root(std::uint32_t x) {
  const std::uint32_t sign = x & kSign, magnitude = x & ~kSign;
  if (magnitude > kInfinity) return x | kQuiet;
  if (magnitude < 0x0080'0000) return sign | kInfinity;
  if (sign) return kDefaultNan;
  if (magnitude == kInfinity) return 0;
  std::uint64_t m = (magnitude & 0x7f'ffff) | 0x80'0000;
  int e = static_cast<int>(magnitude >> 23) - 150;  // x = m * 2^e
  if (e % 2 != 0) {
    m *= 2;
    --e;
  }
  // m is in [2^23, 2^25), the root in (2^14.5, 2^15.5]; the result is root * 2^(-27 - e / 2).
  std::uint64_t root = integer_root((std::uint64_t{1} << 54) / m);
  int exponent = -27 - e / 2;
  for (; root >= std::uint64_t{1} << 15; root >>= 1) ++exponent;
  return pack_approximation(0, (root + 1) >> 1, exponent + 1);
}

template <std::uint32_t (*kF)(std::uint32_t)>
struct ApproximateLow {
  static Xmm run(const Xmm& a, const Xmm& b) {
    auto x = lanes<std::uint32_t>(a);
    x[0] = kF(lanes<std::uint32_t>(b)[0]);
    return vector<Xmm>(x);
  }
};

// ---- MXCSR --------------------------------------------------------------------------------------

const Op* load_mxcsr(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  {
    std::uint32_t value;
    if (!load(core, op, linear_address(core, op), value)) [[unlikely]]
      return nullptr;
    if (value & ~kMxcsrValid) [[unlikely]]
      return raise(core, op, kGeneralProtection, 0);
    core.mxcsr = value;
  }
  VPMU_NEXT(core, op);
}

const Op* store_mxcsr(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  if (!store(core, op, linear_address(core, op), core.mxcsr)) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

template <class F, unsigned kBytes>
constexpr VectorForms float_forms(ZydisMnemonic mnemonic, Cost cost) {
  return {mnemonic, float_binary<F, false, kBytes>, float_binary<F, true, kBytes>, nullptr, nullptr,
          cost};
}

constexpr Cost cost_of(Operation operation) {
  switch (operation) {
    case Operation::kMultiply: return Cost::kSimdMultiply;
    case Operation::kDivide:
    case Operation::kRoot: return Cost::kSimdDivide;
    default: return Cost::kSimdAdd;
  }
}

template <Operation kOperation, Lane kLane>
constexpr VectorForms forms(ZydisMnemonic mnemonic) {
  return float_forms<Compute<kOperation, kLane>, bytes_read(kLane)>(mnemonic, cost_of(kOperation));
}

using enum Operation;
constexpr std::array kForms = {
    forms<kAdd, Lane::kPs>(ZYDIS_MNEMONIC_ADDPS),
    forms<kAdd, Lane::kPd>(ZYDIS_MNEMONIC_ADDPD),
    forms<kAdd, Lane::kSs>(ZYDIS_MNEMONIC_ADDSS),
    forms<kAdd, Lane::kSd>(ZYDIS_MNEMONIC_ADDSD),
    forms<kSubtract, Lane::kPs>(ZYDIS_MNEMONIC_SUBPS),
    forms<kSubtract, Lane::kPd>(ZYDIS_MNEMONIC_SUBPD),
    forms<kSubtract, Lane::kSs>(ZYDIS_MNEMONIC_SUBSS),
    forms<kSubtract, Lane::kSd>(ZYDIS_MNEMONIC_SUBSD),
    forms<kMultiply, Lane::kPs>(ZYDIS_MNEMONIC_MULPS),
    forms<kMultiply, Lane::kPd>(ZYDIS_MNEMONIC_MULPD),
    forms<kMultiply, Lane::kSs>(ZYDIS_MNEMONIC_MULSS),
    forms<kMultiply, Lane::kSd>(ZYDIS_MNEMONIC_MULSD),
    forms<kDivide, Lane::kPs>(ZYDIS_MNEMONIC_DIVPS),
    forms<kDivide, Lane::kPd>(ZYDIS_MNEMONIC_DIVPD),
    forms<kDivide, Lane::kSs>(ZYDIS_MNEMONIC_DIVSS),
    forms<kDivide, Lane::kSd>(ZYDIS_MNEMONIC_DIVSD),
    forms<kMinimum, Lane::kPs>(ZYDIS_MNEMONIC_MINPS),
    forms<kMinimum, Lane::kPd>(ZYDIS_MNEMONIC_MINPD),
    forms<kMinimum, Lane::kSs>(ZYDIS_MNEMONIC_MINSS),
    forms<kMinimum, Lane::kSd>(ZYDIS_MNEMONIC_MINSD),
    forms<kMaximum, Lane::kPs>(ZYDIS_MNEMONIC_MAXPS),
    forms<kMaximum, Lane::kPd>(ZYDIS_MNEMONIC_MAXPD),
    forms<kMaximum, Lane::kSs>(ZYDIS_MNEMONIC_MAXSS),
    forms<kMaximum, Lane::kSd>(ZYDIS_MNEMONIC_MAXSD),
    forms<kRoot, Lane::kPs>(ZYDIS_MNEMONIC_SQRTPS),
    forms<kRoot, Lane::kPd>(ZYDIS_MNEMONIC_SQRTPD),
    forms<kRoot, Lane::kSs>(ZYDIS_MNEMONIC_SQRTSS),
    forms<kRoot, Lane::kSd>(ZYDIS_MNEMONIC_SQRTSD),
    float_forms<HorizontalFloat<kAdd, Lane::kPs>, 16>(ZYDIS_MNEMONIC_HADDPS, Cost::kSimdAdd),
    float_forms<HorizontalFloat<kAdd, Lane::kPd>, 16>(ZYDIS_MNEMONIC_HADDPD, Cost::kSimdAdd),
    float_forms<HorizontalFloat<kSubtract, Lane::kPs>, 16>(ZYDIS_MNEMONIC_HSUBPS, Cost::kSimdAdd),
    float_forms<HorizontalFloat<kSubtract, Lane::kPd>, 16>(ZYDIS_MNEMONIC_HSUBPD, Cost::kSimdAdd),
    float_forms<AddSubtract<Lane::kPs>, 16>(ZYDIS_MNEMONIC_ADDSUBPS, Cost::kSimdAdd),
    float_forms<AddSubtract<Lane::kPd>, 16>(ZYDIS_MNEMONIC_ADDSUBPD, Cost::kSimdAdd),
    VectorForms{ZYDIS_MNEMONIC_DPPS, dot_product_form<Lane::kPs, false>,
                dot_product_form<Lane::kPs, true>, nullptr, nullptr, Cost::kSimdMultiply},
    VectorForms{ZYDIS_MNEMONIC_DPPD, dot_product_form<Lane::kPd, false>,
                dot_product_form<Lane::kPd, true>, nullptr, nullptr, Cost::kSimdMultiply},
    xmm_forms<EachSource<std::uint32_t, reciprocal>>(ZYDIS_MNEMONIC_RCPPS, Cost::kSimdMultiply),
    xmm_forms<ApproximateLow<reciprocal>, 4>(ZYDIS_MNEMONIC_RCPSS, Cost::kSimdMultiply),
    xmm_forms<EachSource<std::uint32_t, reciprocal_root>>(ZYDIS_MNEMONIC_RSQRTPS,
                                                          Cost::kSimdMultiply),
    xmm_forms<ApproximateLow<reciprocal_root>, 4>(ZYDIS_MNEMONIC_RSQRTSS, Cost::kSimdMultiply),
};

}  // namespace

bool translate_sse_float(const Instruction& in, Translation& out) {
  if (!is_legacy_simd(in)) return false;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_LDMXCSR: return set_simd(in, out, load_mxcsr);
    case ZYDIS_MNEMONIC_STMXCSR: return set_simd(in, out, store_mxcsr);
    default:
      return translate_vector_forms(kForms, in, out) || translate_sse_compare(in, out) ||
             translate_sse_convert(in, out) || translate_sse_round(in, out);
  }
}

}  // namespace vpmu::machine::x86
