// SPDX-License-Identifier: MIT
//
// The right to use an I/O port: IOPL, and the permission bitmap in the TSS.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// False: Core::stop says which exception `op` raises.
bool check_io(Core& core, const Op* op, std::uint16_t port, unsigned bytes);

}  // namespace vpmu::machine::x86
