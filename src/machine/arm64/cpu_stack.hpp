// SPDX-License-Identifier: MIT
//
// The call stack of an AArch64 CPU between two of its instructions. At EL1 it is only what runs
// there: where an exception comes from is no caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/arm64/cpu.hpp"

namespace vpmu::machine::arm64 {

/// Fills `chain` (not empty): the next instruction, and then virtual return addresses.
std::size_t call_chain(const Cpu& cpu, std::span<std::uint64_t> chain);
/// The same from the instruction on that has retired last. One that has returned to EL0 has no more
/// than itself.
std::size_t call_chain(const Cpu& cpu, const Cpu::Retired& last, std::span<std::uint64_t> chain);

}  // namespace vpmu::machine::arm64
