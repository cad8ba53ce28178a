// SPDX-License-Identifier: MIT
//
// MRS and MSR (register) at the current level: the CPU's own registers, with the architecture's
// rules of who may access them and which bits they have. What is not the CPU's own (PMU, timers,
// interrupt controller) goes to the Environment.
#pragma once

#include <cstdint>

#include "machine/arm64/emulate.hpp"
#include "vpmu/base/access.hpp"

namespace vpmu::machine::arm64 {

/// fault(): the instruction is undefined. trap(): EL1 traps it (EC 0x18). Never not_mine().
Access read_system_register(CpuParts& cpu, SystemRegister reg);
/// The same. The listener is told of what changes for translations and code.
Access write_system_register(CpuParts& cpu, SystemRegister reg, std::uint64_t value);

/// MSR DAIFSet (`set`) and DAIFClr: `bits` as in Core::daif.
Access write_daif(Core& core, std::uint8_t bits, bool set);

}  // namespace vpmu::machine::arm64
