// SPDX-License-Identifier: MIT
//
// Breakpoints and watchpoints (D2.9, D2.10): whether one of them matches, before an instruction and
// before a data access. There are only questions here: who runs the instructions asks them, while
// they are armed, and takes exceptions::breakpoint() and exceptions::watchpoint().
#pragma once

#include <cstdint>
#include <optional>

#include "machine/arm64/core.hpp"
#include "machine/arm64/mmu.hpp"

namespace vpmu::machine::arm64 {

/// Some breakpoint, some watchpoint can match at the current level. Changes with MDSCR_EL1, the OS
/// lock, the debug registers, PSTATE.D and the level.
[[nodiscard]] bool breakpoints_armed(const Core& core);
[[nodiscard]] bool watchpoints_armed(const Core& core);

/// The instruction at `pc` has a breakpoint.
[[nodiscard]] bool breakpoint_at(const Core& core, std::uint64_t pc);

/// A data access, with the rights of that level: LDTR and STTR have EL0's.
struct WatchedAccess {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  MemoryUse use = MemoryUse::kRead;
  ExceptionLevel rights = ExceptionLevel::kEl1;
};
/// The first byte of it that is watched.
[[nodiscard]] std::optional<std::uint64_t> watchpoint_at(const Core& core,
                                                         const WatchedAccess& access);

}  // namespace vpmu::machine::arm64
