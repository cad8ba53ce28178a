// SPDX-License-Identifier: MIT
//
// Moves between vector registers, memory and general registers, non-temporal and masked ones
// included. A cache being invisible to the guest, non-temporal moves are plain ones.
#include "machine/x86/ops_sse_lanes.hpp"

namespace vpmu::machine::x86 {
namespace {

/// What becomes of the part of the destination that is not loaded.
enum class Rest { kCleared, kKept };

template <class V>
const Op* move_register(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  write_vector<V>(core, op->reg, read_vector<V>(core, op->rm));
  VPMU_NEXT(core, op);
}

template <bool kAligned>
const Op* load_vector(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  const std::uint64_t linear = linear_address(core, op);
  if constexpr (kAligned) {
    if (!aligned16(core, op, linear)) [[unlikely]]
      return nullptr;
  }
  if (!load(core, op, linear, core.xmm[op->reg])) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

template <bool kAligned>
const Op* store_vector(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  const std::uint64_t linear = linear_address(core, op);
  if constexpr (kAligned) {
    if (!aligned16(core, op, linear)) [[unlikely]]
      return nullptr;
  }
  if (!store(core, op, linear, core.xmm[op->reg])) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

/// The low kBytes of a register from those of another.
template <unsigned kBytes, Rest kRest>
const Op* move_low(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  Xmm value = kRest == Rest::kKept ? core.xmm[op->reg] : Xmm{};
  const Xmm from = core.xmm[op->rm];
  std::memcpy(static_cast<void*>(&value), &from, kBytes);
  core.xmm[op->reg] = value;
  VPMU_NEXT(core, op);
}

/// Register from kBytes of memory, zero-extended.
template <class V, unsigned kBytes>
const Op* load_low_part(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  V value;
  if (!load_low<kBytes>(core, op, linear_address(core, op), value)) [[unlikely]]
    return nullptr;
  write_vector<V>(core, op->reg, value);
  VPMU_NEXT(core, op);
}

template <class V, unsigned kBytes>
const Op* store_low_part(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  const V value = read_vector<V>(core, op->reg);
  if (!store_low<kBytes>(core, op, linear_address(core, op), value)) [[unlikely]]
    return nullptr;
  if constexpr (sizeof(V) == sizeof(Mmx)) enter_mmx(core);
  VPMU_NEXT(core, op);
}

/// MOVLPS, MOVHPS and so on: one half of the register to or from memory, the other is kept.
template <std::uint64_t Xmm::*kHalf>
const Op* load_half(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  if (!load(core, op, linear_address(core, op), core.xmm[op->reg].*kHalf)) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

template <std::uint64_t Xmm::*kHalf>
const Op* store_half(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  if (!store(core, op, linear_address(core, op), core.xmm[op->reg].*kHalf)) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

/// MOVHLPS, MOVLHPS.
template <std::uint64_t Xmm::*kTo, std::uint64_t Xmm::*kFrom>
const Op* move_half(Core& core, const Op* op) {
  if (!sse_available(core, op)) [[unlikely]]
    return nullptr;
  core.xmm[op->reg].*kTo = core.xmm[op->rm].*kFrom;
  VPMU_NEXT(core, op);
}

template <class V, class T>
const Op* from_general(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  V value{};
  value.lo = get<T>(core, op->rm);
  write_vector<V>(core, op->reg, value);
  VPMU_NEXT(core, op);
}

template <class V, class T>
const Op* to_general(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  set<T>(core, op->reg, static_cast<T>(read_vector<V>(core, op->rm).lo));
  if constexpr (sizeof(V) == sizeof(Mmx)) enter_mmx(core);
  VPMU_NEXT(core, op);
}

/// MOVNTI: needs neither SSE state nor its being enabled.
template <class T>
const Op* store_general(Core& core, const Op* op) {
  if (!store(core, op, linear_address(core, op), get<T>(core, op->reg))) [[unlikely]]
    return nullptr;
  VPMU_NEXT(core, op);
}

/// MOVQ2DQ and MOVDQ2Q: MMX instructions that also need SSE.
template <class To, class From>
const Op* move_across(Core& core, const Op* op) {
  if (!sse_available(core, op) || !mmx_available(core, op)) [[unlikely]]
    return nullptr;
  To value{};
  value.lo = read_vector<From>(core, op->rm).lo;
  enter_mmx(core);
  write_vector<To>(core, op->reg, value);
  VPMU_NEXT(core, op);
}

/// The top bit of each lane, gathered in a general register.
template <class V, class T>
const Op* sign_mask(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  const auto x = lanes<T>(read_vector<V>(core, op->rm));
  std::uint32_t mask = 0;
  for (unsigned i = 0; i < x.size(); ++i) mask |= static_cast<std::uint32_t>(x[i] < 0) << i;
  set<std::uint32_t>(core, op->reg, mask);
  if constexpr (sizeof(V) == sizeof(Mmx)) enter_mmx(core);
  VPMU_NEXT(core, op);
}

/// The bytes of op->reg whose mask byte in op->rm is negative. All or nothing: every byte is
/// checked before the first is written.
template <class V>
bool store_selected(Core& core, const Op* op) {
  const auto data = lanes<std::uint8_t>(read_vector<V>(core, op->reg));
  const auto mask = lanes<std::int8_t>(read_vector<V>(core, op->rm));
  const std::uint64_t linear = linear_address(core, op);
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if (mask[i] < 0 && !probe_write(core, op, linear + i, 1)) return false;
  }
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if (mask[i] < 0 && !store(core, op, linear + i, data[i])) return false;
  }
  return true;
}

/// MASKMOVDQU, MASKMOVQ.
template <class V>
const Op* store_masked(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  if (!store_selected<V>(core, op)) return nullptr;
  if constexpr (sizeof(V) == sizeof(Mmx)) enter_mmx(core);
  VPMU_NEXT(core, op);
}

const Op* emms(Core& core, const Op* op) {
  if (!mmx_available(core, op)) [[unlikely]]
    return nullptr;
  enter_mmx(core);
  core.x87.valid = 0;
  VPMU_NEXT(core, op);
}

/// MOVMSKPS and so on take two registers; the memory operand of these is implicit.
bool translate_masked(const Instruction& in, Translation& out, Handler run) {
  set_simd(in, out, run);
  for (unsigned i = in.visible(); i < in.zydis.operand_count; ++i) {
    if (in.is_memory(i)) set_memory(out.op, in, in.operands[i]);
  }
  out.op.flags |= kMemoryOperand;
  out.record.stores = 1;
  return true;
}

/// By where the operands are: memory to register, register to memory, register to register.
struct Moves {
  Handler to_register;
  Handler to_memory;
  Handler between;
};

bool translate_moves(const Instruction& in, Translation& out, const Moves& moves) {
  if (in.is_memory(0)) return set_simd(in, out, moves.to_memory);
  return set_simd(in, out, in.is_memory(1) ? moves.to_register : moves.between);
}

template <class T>
bool translate_to_or_from_general(const Instruction& in, Translation& out) {
  if (is_xmm(in, 0)) return set_simd(in, out, from_general<Xmm, T>);
  if (is_mmx(in, 0)) return set_simd(in, out, from_general<Mmx, T>);
  return set_simd(in, out, is_xmm(in, 1) ? to_general<Xmm, T> : to_general<Mmx, T>);
}

/// MOVD and MOVQ in all their forms.
template <class T>
bool translate_low(const Instruction& in, Translation& out) {
  constexpr unsigned kBytes = sizeof(T);
  const bool memory = in.is_memory(0) || in.is_memory(1);
  const bool xmm = is_xmm(in, 0) || is_xmm(in, 1);
  if (memory && xmm) {
    return translate_moves(in, out,
                           {load_low_part<Xmm, kBytes>, store_low_part<Xmm, kBytes>, nullptr});
  }
  if (memory) {
    return translate_moves(in, out,
                           {load_low_part<Mmx, kBytes>, store_low_part<Mmx, kBytes>, nullptr});
  }
  if (is_xmm(in, 0) && is_xmm(in, 1)) return set_simd(in, out, move_low<kBytes, Rest::kCleared>);
  if (is_mmx(in, 0) && is_mmx(in, 1)) return set_simd(in, out, move_register<Mmx>);
  return translate_to_or_from_general<T>(in, out);
}

template <std::uint64_t Xmm::*kHalf>
constexpr Moves kHalfMoves = {load_half<kHalf>, store_half<kHalf>, nullptr};

template <bool kAligned>
constexpr Moves kWholeMoves = {load_vector<kAligned>, store_vector<kAligned>, move_register<Xmm>};

template <unsigned kBytes>
constexpr Moves kScalarMoves = {load_low_part<Xmm, kBytes>, store_low_part<Xmm, kBytes>,
                                move_low<kBytes, Rest::kKept>};

}  // namespace

bool translate_sse_move(const Instruction& in, Translation& out) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVNTPS:
    case ZYDIS_MNEMONIC_MOVNTPD:
    case ZYDIS_MNEMONIC_MOVNTDQ:
    case ZYDIS_MNEMONIC_MOVNTDQA: return translate_moves(in, out, kWholeMoves<true>);
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU: return translate_moves(in, out, kWholeMoves<false>);
    case ZYDIS_MNEMONIC_MOVSS: return translate_moves(in, out, kScalarMoves<4>);
    case ZYDIS_MNEMONIC_MOVSD: return translate_moves(in, out, kScalarMoves<8>);
    case ZYDIS_MNEMONIC_MOVD: return translate_low<std::uint32_t>(in, out);
    case ZYDIS_MNEMONIC_MOVQ: return translate_low<std::uint64_t>(in, out);
    case ZYDIS_MNEMONIC_MOVNTQ: return set_simd(in, out, store_low_part<Mmx, 8>);
    case ZYDIS_MNEMONIC_MOVLPS:
    case ZYDIS_MNEMONIC_MOVLPD: return translate_moves(in, out, kHalfMoves<&Xmm::lo>);
    case ZYDIS_MNEMONIC_MOVHPS:
    case ZYDIS_MNEMONIC_MOVHPD: return translate_moves(in, out, kHalfMoves<&Xmm::hi>);
    case ZYDIS_MNEMONIC_MOVHLPS: return set_simd(in, out, move_half<&Xmm::lo, &Xmm::hi>);
    case ZYDIS_MNEMONIC_MOVLHPS: return set_simd(in, out, move_half<&Xmm::hi, &Xmm::lo>);
    case ZYDIS_MNEMONIC_MOVNTI:
      return set_simd(
          in, out, is_gpr64(in, 1) ? store_general<std::uint64_t> : store_general<std::uint32_t>);
    case ZYDIS_MNEMONIC_MOVQ2DQ: return set_simd(in, out, move_across<Xmm, Mmx>);
    case ZYDIS_MNEMONIC_MOVDQ2Q: return set_simd(in, out, move_across<Mmx, Xmm>);
    case ZYDIS_MNEMONIC_MOVMSKPS: return set_simd(in, out, sign_mask<Xmm, std::int32_t>);
    case ZYDIS_MNEMONIC_MOVMSKPD: return set_simd(in, out, sign_mask<Xmm, std::int64_t>);
    case ZYDIS_MNEMONIC_PMOVMSKB:
      return set_simd(in, out,
                      is_xmm(in, 1) ? sign_mask<Xmm, std::int8_t> : sign_mask<Mmx, std::int8_t>);
    case ZYDIS_MNEMONIC_MASKMOVDQU: return translate_masked(in, out, store_masked<Xmm>);
    case ZYDIS_MNEMONIC_MASKMOVQ: return translate_masked(in, out, store_masked<Mmx>);
    case ZYDIS_MNEMONIC_EMMS: return set_simd(in, out, emms, Cost::kStateSave);
    default: return false;
  }
}

}  // namespace vpmu::machine::x86
