// SPDX-License-Identifier: MIT
//
// The call stack of a vCPU between two of its instructions, x86-64 in any mode that has frame
// pointers: 64-bit and 32-bit code, in kernel and user mode.
//
// A function has no frame of its own on its first two instructions, when it saves its caller's
// frame pointer and sets its own, and on its last one, the return. Its return address is then on
// top of the stack, and no caller is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/x86/cpu.hpp"

namespace vpmu::machine {

/// Fills `chain` (not empty) as walk_stack() does: the next instruction and then linear return
/// addresses. 16-bit code has the former only.
std::size_t call_chain(const x86::Cpu& cpu, std::span<std::uint64_t> chain);
/// The same from the instruction on that has retired last. If that has changed the privilege, its
/// stack is there only of 64-bit code that has entered the kernel: what has been left has no more
/// than the instruction.
std::size_t call_chain(const x86::Cpu& cpu, const x86::Cpu::Retired& last,
                       std::span<std::uint64_t> chain);

}  // namespace vpmu::machine
