// SPDX-License-Identifier: MIT
//
// The debug registers, op0 = 2 (D13.3): software step, the OS lock, breakpoints and watchpoints,
// and a debug communications channel with nobody at its other end.
#pragma once

#include <cstdint>

#include "machine/arm64/core.hpp"
#include "vpmu/base/access.hpp"
#include "vpmu/silicon/arm64/system_register.hpp"

namespace vpmu::machine::arm64 {

/// At the current level. fault(): undefined; trap(): EL1 traps it.
Access read_debug_register(const Core& core, silicon::arm64::SystemRegister reg);
Access write_debug_register(Core& core, silicon::arm64::SystemRegister reg, std::uint64_t value);

}  // namespace vpmu::machine::arm64
