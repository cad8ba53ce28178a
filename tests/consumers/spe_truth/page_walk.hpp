// SPDX-License-Identifier: MIT
//
// The guest's translation tables, read as the manual describes them and without the machine's own
// walker (Arm ARM, D5.2).
#pragma once

#include <cstdint>
#include <optional>

#include "machine/arm64/core.hpp"
#include "machine/guest_memory.hpp"

namespace vpmu::machine::arm64 {

/// The physical address behind a virtual one; nothing: it is not mapped, or its tables are not in
/// memory.
std::optional<std::uint64_t> walk(const Core& core, const GuestMemory& memory,
                                  std::uint64_t address);

}  // namespace vpmu::machine::arm64
