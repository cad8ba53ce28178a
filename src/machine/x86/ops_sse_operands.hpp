// SPDX-License-Identifier: MIT
//
// What the handlers of MMX and SSE instructions share: whether the instruction may run at all, its
// vector operands in registers and memory, and one handler for "destination = F(destination,
// source)", where F is a class with
//
//   template <class V> static V run(const V& a, const V& b);               // V is Xmm or Mmx
//   template <class V> static V run(const V& a, const V& b, Immediate i);  // an immediate byte
//   static Xmm run(const Xmm& a, const Xmm& b, const Xmm& mask);           // XMM0 as the third
//
// Faults come in the architecture's order: #UD, #NM, #MF, #GP of misaligned memory, #PF.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "machine/x86/core.hpp"
#include "machine/x86/memory_access.hpp"
#include "machine/x86/translate.hpp"

namespace vpmu::machine::x86 {

/// 64 bits of an MMX register, or of memory.
struct Mmx {
  std::uint64_t lo = 0;
};

/// The immediate byte of an instruction, as a type of its own.
struct Immediate {
  std::uint8_t value;
};

/// Status word: an unmasked x87 exception is pending (ES), and TOP.
inline constexpr std::uint16_t kX87Pending = 1 << 7, kX87Top = 7 << 11;

// ---- Availability -------------------------------------------------------------------------------

/// Raise why SSE or MMX instructions cannot run now; always false.
[[gnu::cold]] bool sse_unavailable(Core& core, const Op* op);
[[gnu::cold]] bool mmx_unavailable(Core& core, const Op* op);

[[gnu::always_inline]] inline bool sse_available(Core& core, const Op* op) {
  if ((core.cr0 & (kCr0Em | kCr0Ts)) == 0 && (core.cr4 & kCr4Osfxsr) != 0) [[likely]]
    return true;
  return sse_unavailable(core, op);
}

[[gnu::always_inline]] inline bool mmx_available(Core& core, const Op* op) {
  if ((core.cr0 & (kCr0Em | kCr0Ts)) == 0 && (core.x87.status & kX87Pending) == 0) [[likely]]
    return true;
  return mmx_unavailable(core, op);
}

template <class V>
[[gnu::always_inline]] inline bool simd_available(Core& core, const Op* op) {
  if constexpr (sizeof(V) == sizeof(Xmm)) {
    return sse_available(core, op);
  } else {
    return mmx_available(core, op);
  }
}

// ---- Registers ----------------------------------------------------------------------------------

template <class V>
[[gnu::always_inline]] inline V read_vector(const Core& core, unsigned number) {
  if constexpr (sizeof(V) == sizeof(Xmm)) {
    return core.xmm[number];
  } else {
    V value;
    std::memcpy(static_cast<void*>(&value), &core.x87.r[number], sizeof value);
    return value;
  }
}

/// What every MMX instruction but EMMS does to the x87 state.
inline void enter_mmx(Core& core) {
  core.x87.status &= static_cast<std::uint16_t>(~kX87Top);
  core.x87.valid = 0xff;
}

/// MMX registers are the significands of R0..R7; writing one sets sign and exponent to ones.
template <class V>
[[gnu::always_inline]] inline void write_vector(Core& core, unsigned number, V value) {
  if constexpr (sizeof(V) == sizeof(Xmm)) {
    core.xmm[number] = value;
  } else {
    enter_mmx(core);
    auto* to = reinterpret_cast<std::uint8_t*>(&core.x87.r[number]);
    std::memcpy(to, &value, sizeof value);
    to[8] = to[9] = 0xff;
  }
}

// ---- Memory -------------------------------------------------------------------------------------

/// #GP(0) for a misaligned operand; false then.
[[gnu::always_inline]] inline bool aligned16(Core& core, const Op* op, std::uint64_t linear) {
  if ((linear & 15) == 0) [[likely]]
    return true;
  raise(core, op, kGeneralProtection, 0);
  return false;
}

/// Loads the low kBytes of `value` and clears the rest.
template <unsigned kBytes, class V>
[[gnu::always_inline]] inline bool load_low(Core& core, const Op* op, std::uint64_t linear,
                                            V& value) {
  std::array<std::uint8_t, kBytes> part;
  if (!load(core, op, linear, part)) [[unlikely]]
    return false;
  value = V{};
  std::memcpy(static_cast<void*>(&value), part.data(), kBytes);
  return true;
}

template <unsigned kBytes, class V>
[[gnu::always_inline]] inline bool store_low(Core& core, const Op* op, std::uint64_t linear,
                                             const V& value) {
  std::array<std::uint8_t, kBytes> part;
  std::memcpy(part.data(), &value, kBytes);
  return store(core, op, linear, part);
}

/// The source operand: register op->rm, or kBytes of memory; 16 bytes must be aligned.
template <class V, bool kMemory, unsigned kBytes = sizeof(V)>
[[gnu::always_inline]] inline bool source(Core& core, const Op* op, V& value) {
  if constexpr (!kMemory) {
    value = read_vector<V>(core, op->rm);
    return true;
  } else {
    const std::uint64_t linear = linear_address(core, op);
    if constexpr (kBytes == 16) {
      if (!aligned16(core, op, linear)) [[unlikely]]
        return false;
    }
    return load_low<kBytes>(core, op, linear, value);
  }
}

// ---- Handlers -----------------------------------------------------------------------------------

/// F applied to two operands and, if it takes one, the immediate or XMM0.
template <class F, class V>
[[gnu::always_inline]] inline V apply(const Core& core, const Op* op, const V& a, const V& b) {
  const Immediate immediate{static_cast<std::uint8_t>(op->immediate)};
  if constexpr (requires { F::run(a, b, immediate); }) {
    return F::run(a, b, immediate);
  } else if constexpr (requires { F::run(a, b, core.xmm[0]); }) {
    return F::run(a, b, core.xmm[0]);
  } else {
    return F::run(a, b);
  }
}

template <class F, class V, bool kMemory, unsigned kBytes = sizeof(V)>
const Op* vector_binary(Core& core, const Op* op) {
  if (!simd_available<V>(core, op)) [[unlikely]]
    return nullptr;
  if constexpr (!kMemory && sizeof(V) == sizeof(Xmm)) {
    // By reference: lanes are taken straight from the registers, not from two 64-bit halves.
    core.xmm[op->reg] = apply<F>(core, op, core.xmm[op->reg], core.xmm[op->rm]);
  } else {
    V b;
    if (!source<V, kMemory, kBytes>(core, op, b)) [[unlikely]]
      return nullptr;
    write_vector<V>(core, op->reg, apply<F>(core, op, read_vector<V>(core, op->reg), b));
  }
  VPMU_NEXT(core, op);
}

// ---- Translation --------------------------------------------------------------------------------

using Cost = silicon::x86::InstructionClass;

/// A row of a translation table. Handlers for XMM and MMX destinations, register and memory source;
/// null where there is no such form.
struct VectorForms {
  ZydisMnemonic mnemonic;
  Handler xmm_register;
  Handler xmm_memory;
  Handler mmx_register = nullptr;
  Handler mmx_memory = nullptr;
  Cost cost = Cost::kSimdMove;
};

/// kXmmBytes, kMmxBytes: how much of a memory source is read.
template <class F, unsigned kXmmBytes = 16>
constexpr VectorForms xmm_forms(ZydisMnemonic mnemonic, Cost cost = Cost::kSimdMove) {
  return {mnemonic,
          vector_binary<F, Xmm, false>,
          vector_binary<F, Xmm, true, kXmmBytes>,
          nullptr,
          nullptr,
          cost};
}

template <class F, unsigned kMmxBytes = 8>
constexpr VectorForms both_forms(ZydisMnemonic mnemonic, Cost cost = Cost::kSimdMove) {
  return {mnemonic,
          vector_binary<F, Xmm, false>,
          vector_binary<F, Xmm, true>,
          vector_binary<F, Mmx, false>,
          vector_binary<F, Mmx, true, kMmxBytes>,
          cost};
}

/// Is it an MMX, SSE .. SSE4.2, AES or PCLMULQDQ instruction (not one with a VEX prefix)?
bool is_legacy_simd(const Instruction& in);

bool is_xmm(const Instruction& in, unsigned operand);
bool is_mmx(const Instruction& in, unsigned operand);
bool is_gpr64(const Instruction& in, unsigned operand);

/// Fills in the visible operands: the first register in `reg`, the second in `rm`, the memory
/// operand, the immediate; loads and stores from what the instruction does to memory.
void set_simd_operands(const Instruction& in, Translation& out);

/// set_simd_operands(), and the handler. False (and nothing filled in) if `run` is null.
bool set_simd(const Instruction& in, Translation& out, Handler run, Cost cost = Cost::kSimdMove);

/// Looks the instruction up in a table of VectorForms by mnemonic and operands.
template <std::size_t kRows>
bool translate_vector_forms(const std::array<VectorForms, kRows>& table, const Instruction& in,
                            Translation& out) {
  for (const VectorForms& row : table) {
    if (row.mnemonic != in.mnemonic()) continue;
    const bool memory = in.is_memory(1);
    if (is_mmx(in, 0))
      return set_simd(in, out, memory ? row.mmx_memory : row.mmx_register, row.cost);
    return set_simd(in, out, memory ? row.xmm_memory : row.xmm_register, row.cost);
  }
  return false;
}

// The parts of translate_sse_integer() and translate_sse_float(), one per file.
bool translate_sse_move(const Instruction& in, Translation& out);
bool translate_sse_arithmetic(const Instruction& in, Translation& out);
bool translate_sse_shift(const Instruction& in, Translation& out);
bool translate_sse_shuffle(const Instruction& in, Translation& out);
bool translate_sse_extract(const Instruction& in, Translation& out);
bool translate_sse_string(const Instruction& in, Translation& out);
bool translate_sse_crypto(const Instruction& in, Translation& out);
bool translate_sse_compare(const Instruction& in, Translation& out);
bool translate_sse_convert(const Instruction& in, Translation& out);
bool translate_sse_round(const Instruction& in, Translation& out);
bool translate_fxsave(const Instruction& in, Translation& out);

}  // namespace vpmu::machine::x86
