// SPDX-License-Identifier: MIT
//
// The call stack of a vCPU between two of its instructions, x86-64 in any mode that has frame
// pointers: 64-bit and 32-bit code, in kernel and user mode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/x86/cpu.hpp"

namespace vpmu::machine {

/// Fills `chain` (not empty) as walk_stack() does: `ip` and then linear return addresses. 16-bit
/// code has `ip` only.
std::size_t call_chain(const x86::Cpu& cpu, std::uint64_t ip, std::span<std::uint64_t> chain);

}  // namespace vpmu::machine
