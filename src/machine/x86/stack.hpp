// SPDX-License-Identifier: MIT
//
// The stack of PUSH, POP, CALL and RET. kFlat: 64-bit code, where RSP is used whole and SS has no
// base.
#pragma once

#include <cstdint>

#include "machine/x86/memory_access.hpp"
#include "machine/x86/segments.hpp"

namespace vpmu::machine::x86 {

/// The linear address `distance` bytes above the stack pointer.
template <bool kFlat>
[[gnu::always_inline]] inline std::uint64_t stack_linear(const Core& core, std::int64_t distance) {
  const std::uint64_t pointer = core.gpr[kRsp] + static_cast<std::uint64_t>(distance);
  if constexpr (kFlat) {
    return pointer;
  } else {
    if (core.code64()) return pointer;
    return static_cast<std::uint32_t>((pointer & stack_mask(core)) + core.segment[kSs].base);
  }
}

/// Moves the stack pointer by `distance` bytes, within its width.
template <bool kFlat>
[[gnu::always_inline]] inline void move_stack(Core& core, std::int64_t distance) {
  const std::uint64_t pointer = core.gpr[kRsp] + static_cast<std::uint64_t>(distance);
  if constexpr (kFlat) {
    core.gpr[kRsp] = pointer;
  } else {
    const std::uint64_t mask = stack_mask(core);
    core.gpr[kRsp] = mask == 0xffff ? (core.gpr[kRsp] & ~mask) | (pointer & mask) : pointer & mask;
  }
}

/// A stack access of an instruction with a memory operand of its own has failed: what would be a
/// general protection fault for that segment is a stack fault.
[[gnu::cold]] inline void stack_access_failed(Core& core) {
  if (core.stop == Stop::kException && core.exception.vector == kGeneralProtection)
    core.exception.vector = kStackFault;
}

template <class T, bool kFlat>
[[gnu::always_inline]] inline bool push_value(Core& core, const Op* op, T value) {
  constexpr auto kBytes = static_cast<std::int64_t>(sizeof(T));
  if (!store(core, op, stack_linear<kFlat>(core, -kBytes), value)) [[unlikely]] {
    stack_access_failed(core);
    return false;
  }
  move_stack<kFlat>(core, -kBytes);
  return true;
}

}  // namespace vpmu::machine::x86
