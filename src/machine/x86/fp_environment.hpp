// SPDX-License-Identifier: MIT
//
// Floating point as the host's SSE unit does it, under the guest's MXCSR: rounding, denormals and
// NaNs are bit-exact because the instruction is the real one.
//
// The instructions are written as inline assembly, volatile like the accesses to MXCSR around them:
// volatile assembly keeps its order on every compiler and optimisation level, and operands stay
// where they were written (a compiler may swap those of a + b, which changes which NaN comes out).
#pragma once

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// MXCSR bits. kPrecomputation: those exceptions that are known before there is a result.
inline constexpr std::uint32_t kMxcsrIe = 1, kMxcsrDe = 2, kMxcsrZe = 4, kMxcsrOe = 8,
                               kMxcsrUe = 16, kMxcsrPe = 32, kMxcsrFlags = 0x3f, kMxcsrDaz = 1 << 6,
                               kMxcsrMasks = 0x3f << 7, kMxcsrRounding = 3 << 13,
                               kMxcsrFtz = 1 << 15,
                               kMxcsrPrecomputation = kMxcsrIe | kMxcsrDe | kMxcsrZe;
/// MXCSR_MASK: what may be set.
inline constexpr std::uint32_t kMxcsrValid = 0xffff;

[[gnu::always_inline]] inline std::uint32_t host_mxcsr() {
  std::uint32_t value;
  asm volatile("stmxcsr %0" : "=m"(value) : : "memory");
  return value;
}

[[gnu::always_inline]] inline void set_host_mxcsr(std::uint32_t value) {
  asm volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

/// Calls `compute` (volatile inline assembly) with the guest's rounding and denormal modes and
/// all exceptions masked, and gives the exceptions that it raised. The host's MXCSR is as before.
template <class Compute>
[[gnu::always_inline]] inline std::uint32_t run_under(std::uint32_t guest, Compute compute) {
  const std::uint32_t host = host_mxcsr();
  const std::uint32_t wanted = (guest & (kMxcsrRounding | kMxcsrDaz | kMxcsrFtz)) | kMxcsrMasks;
  if (wanted != host) set_host_mxcsr(wanted);
  compute();
  const std::uint32_t after = host_mxcsr();
  if (after != host) set_host_mxcsr(host);
  return after & kMxcsrFlags;
}

/// Adds `flags` to MXCSR and raises #XM (or #UD) if one of them is unmasked; false then.
[[gnu::cold]] bool deliver_unmasked(Core& core, const Op* op, std::uint32_t flags);

[[gnu::always_inline]] inline bool note_exceptions(Core& core, const Op* op, std::uint32_t flags) {
  if ((flags & ~(core.mxcsr >> 7)) == 0) [[likely]] {
    core.mxcsr |= flags;
    return true;
  }
  return deliver_unmasked(core, op, flags);
}

/// run_under() the guest's MXCSR, exceptions and all. False: #XM was raised, and the instruction
/// must change nothing. `compute` may run more than once.
template <class Compute>
[[gnu::always_inline]] inline bool under_guest_mxcsr(Core& core, const Op* op, Compute compute) {
  if ((core.mxcsr & (kMxcsrUe << 7)) == 0) [[unlikely]] {
    // Unmasked underflow is raised by every tiny result, masked underflow only by inexact ones.
    // Flushing to zero tells them apart. (PE is that of the masked result: it may be set where a
    // real CPU, which looks at the result before it becomes a denormal, leaves it clear.)
    std::uint32_t flags = run_under(core.mxcsr | kMxcsrFtz, compute) & kMxcsrUe;
    flags |= run_under(core.mxcsr & ~kMxcsrFtz, compute);
    return note_exceptions(core, op, flags);
  }
  return note_exceptions(core, op, run_under(core.mxcsr, compute));
}

// Between the CPU's registers and the compiler's vectors.
[[gnu::always_inline]] inline __m128 singles(const Xmm& x) {
  __m128 value;
  std::memcpy(&value, &x, sizeof value);
  return value;
}
[[gnu::always_inline]] inline __m128d doubles(const Xmm& x) {
  return _mm_castps_pd(singles(x));
}
[[gnu::always_inline]] inline Xmm bits(const __m128& value) {
  Xmm x;
  std::memcpy(static_cast<void*>(&x), &value, sizeof x);
  return x;
}

}  // namespace vpmu::machine::x86
