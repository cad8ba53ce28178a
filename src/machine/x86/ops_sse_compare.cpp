// SPDX-License-Identifier: MIT
//
// Floating-point comparison: CMPPS and its relatives, COMISS and its relatives.
#include "machine/x86/flags.hpp"
#include "machine/x86/fp_environment.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

enum class Lane { kPs, kPd, kSs, kSd };

constexpr unsigned bytes_read(Lane lane) {
  return lane == Lane::kSs ? 4 : lane == Lane::kSd ? 8 : 16;
}

template <Lane kLane, unsigned kPredicate>
[[gnu::always_inline]] inline Xmm compare(const Xmm& first, const Xmm& second) {
  __m128 a = singles(first);
  const __m128 b = singles(second);
  if constexpr (kLane == Lane::kPs)
    asm volatile("cmpps %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  if constexpr (kLane == Lane::kPd)
    asm volatile("cmppd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  if constexpr (kLane == Lane::kSs)
    asm volatile("cmpss %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  if constexpr (kLane == Lane::kSd)
    asm volatile("cmpsd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  return bits(a);
}

template <Lane kLane, unsigned kPredicate, bool kMemory>
const Op* compare_lanes(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory, bytes_read(kLane)>(core, op, b)) [[unlikely]]
    return nullptr;
  const Xmm a = core.xmm[op->reg];
  Xmm result;
  if (!under_guest_mxcsr(core, op, [&] { result = compare<kLane, kPredicate>(a, b); })) [[unlikely]]
    return nullptr;
  core.xmm[op->reg] = result;
  VPMU_NEXT(core, op);
}

template <Lane kLane, bool kMemory>
constexpr std::array<Handler, 8> kByPredicate = {
    compare_lanes<kLane, 0, kMemory>, compare_lanes<kLane, 1, kMemory>,
    compare_lanes<kLane, 2, kMemory>, compare_lanes<kLane, 3, kMemory>,
    compare_lanes<kLane, 4, kMemory>, compare_lanes<kLane, 5, kMemory>,
    compare_lanes<kLane, 6, kMemory>, compare_lanes<kLane, 7, kMemory>};

template <Lane kLane>
bool translate_predicate(const Instruction& in, Translation& out) {
  const auto& handlers = in.is_memory(1) ? kByPredicate<kLane, true> : kByPredicate<kLane, false>;
  return set_simd(in, out, handlers[in.operands[2].imm.value.u & 7], Cost::kSimdAdd);
}

/// ZF, PF, CF of COMISx (signals for every NaN) or UCOMISx (for signalling ones).
template <Lane kLane, bool kQuiet>
[[gnu::always_inline]] inline std::uint64_t ordering(const Xmm& first, const Xmm& second) {
  const __m128 a = singles(first), b = singles(second);
  bool zf, pf, cf;
  if constexpr (kLane == Lane::kSs && kQuiet)
    asm volatile("ucomiss %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  if constexpr (kLane == Lane::kSd && kQuiet)
    asm volatile("ucomisd %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  if constexpr (kLane == Lane::kSs && !kQuiet)
    asm volatile("comiss %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  if constexpr (kLane == Lane::kSd && !kQuiet)
    asm volatile("comisd %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  return (zf ? kZf : 0) | (pf ? kPf : 0) | (cf ? kCf : 0);
}

template <Lane kLane, bool kQuiet, bool kMemory>
const Op* compare_scalars(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory, bytes_read(kLane)>(core, op, b)) [[unlikely]]
    return nullptr;
  const Xmm a = core.xmm[op->reg];
  std::uint64_t flags;
  if (!under_guest_mxcsr(core, op, [&] { flags = ordering<kLane, kQuiet>(a, b); })) [[unlikely]]
    return nullptr;
  set_arithmetic_flags(core, flags);
  VPMU_NEXT(core, op);
}

template <Lane kLane, bool kQuiet>
bool translate_ordering(const Instruction& in, Translation& out) {
  return set_simd(in, out,
                  in.is_memory(1) ? compare_scalars<kLane, kQuiet, true>
                                  : compare_scalars<kLane, kQuiet, false>,
                  Cost::kSimdAdd);
}

}  // namespace

bool translate_sse_compare(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_CMPPS: return translate_predicate<Lane::kPs>(in, out);
    case ZYDIS_MNEMONIC_CMPPD: return translate_predicate<Lane::kPd>(in, out);
    case ZYDIS_MNEMONIC_CMPSS: return translate_predicate<Lane::kSs>(in, out);
    case ZYDIS_MNEMONIC_CMPSD: return translate_predicate<Lane::kSd>(in, out);
    case ZYDIS_MNEMONIC_UCOMISS: return translate_ordering<Lane::kSs, true>(in, out);
    case ZYDIS_MNEMONIC_UCOMISD: return translate_ordering<Lane::kSd, true>(in, out);
    case ZYDIS_MNEMONIC_COMISS: return translate_ordering<Lane::kSs, false>(in, out);
    case ZYDIS_MNEMONIC_COMISD: return translate_ordering<Lane::kSd, false>(in, out);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
