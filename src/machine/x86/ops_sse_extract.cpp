// SPDX-License-Identifier: MIT
//
// One lane between a vector and a general register or memory, PTEST, and the integer entry point
// of translation.
#include "machine/x86/flags.hpp"
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

template <class V, class T>
T selected(const Core& core, const Op* op, unsigned number) {
  const auto x = lanes<T>(read_vector<V>(core, number));
  return x[op->immediate % x.size()];
}

/// Zero-extended to a general register.
template <class V, class T>
const Op* extract(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  set<std::uint64_t>(core, op->reg, selected<V, T>(core, op, op->rm));
  if constexpr (sizeof(V) == sizeof(Mmx)) enter_mmx(core);
  VPMU_NEXT(core, op);
}

template <class T>
const Op* extract_to_memory(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  {
    const T value = selected<Xmm, T>(core, op, op->reg);
    if (!store(core, op, linear_address(core, op), value)) [[unlikely]]
      return nullptr;
  }
  VPMU_NEXT(core, op);
}

template <class V, class T, bool kMemory>
const Op* insert(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  {
    T value;
    if constexpr (kMemory) {
      if (!load(core, op, linear_address(core, op), value)) [[unlikely]]
        return nullptr;
    } else {
      value = get<T>(core, op->rm);
    }
    auto x = lanes<T>(read_vector<V>(core, op->reg));
    x[op->immediate % x.size()] = value;
    write_vector<V>(core, op->reg, vector<V>(x));
  }
  VPMU_NEXT(core, op);
}

template <bool kMemory>
const Op* test(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm b;
  if (!source<Xmm, kMemory>(core, op, b)) [[unlikely]]
    return nullptr;
  const Xmm a = core.xmm[op->reg];
  const bool none = ((a.lo & b.lo) | (a.hi & b.hi)) == 0;
  const bool all = ((~a.lo & b.lo) | (~a.hi & b.hi)) == 0;
  set_arithmetic_flags(core, (none ? kZf : 0) | (all ? kCf : 0));
  VPMU_NEXT(core, op);
}

template <class T>
bool translate_extract(const Instruction& in, Translation& out) {
  return set_simd(in, out, in.is_memory(0) ? extract_to_memory<T> : extract<Xmm, T>);
}

template <class T>
bool translate_insert(const Instruction& in, Translation& out) {
  return set_simd(in, out, in.is_memory(1) ? insert<Xmm, T, true> : insert<Xmm, T, false>);
}

}  // namespace

bool translate_sse_extract(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PEXTRB: return translate_extract<std::uint8_t>(in, out);
    case ZYDIS_MNEMONIC_PEXTRW:
      if (is_mmx(in, 1)) return set_simd(in, out, extract<Mmx, std::uint16_t>);
      return translate_extract<std::uint16_t>(in, out);
    case ZYDIS_MNEMONIC_PEXTRD:
    case ZYDIS_MNEMONIC_EXTRACTPS: return translate_extract<std::uint32_t>(in, out);
    case ZYDIS_MNEMONIC_PEXTRQ: return translate_extract<std::uint64_t>(in, out);
    case ZYDIS_MNEMONIC_PINSRB: return translate_insert<std::uint8_t>(in, out);
    case ZYDIS_MNEMONIC_PINSRW:
      if (is_mmx(in, 0)) {
        return set_simd(
            in, out,
            in.is_memory(1) ? insert<Mmx, std::uint16_t, true> : insert<Mmx, std::uint16_t, false>);
      }
      return translate_insert<std::uint16_t>(in, out);
    case ZYDIS_MNEMONIC_PINSRD: return translate_insert<std::uint32_t>(in, out);
    case ZYDIS_MNEMONIC_PINSRQ: return translate_insert<std::uint64_t>(in, out);
    case ZYDIS_MNEMONIC_PTEST: return set_simd(in, out, in.is_memory(1) ? test<true> : test<false>);
    default: return false;
  }
}

bool translate_sse_integer(const Instruction& in, Translation& out) {
  if (!is_legacy_simd(in)) return false;
  return translate_sse_move(in, out) || translate_sse_arithmetic(in, out) ||
         translate_sse_shuffle(in, out) || translate_sse_shift(in, out) ||
         translate_sse_extract(in, out) || translate_sse_string(in, out) ||
         translate_sse_crypto(in, out);
}

}  // namespace vpmu::machine::x86
