// SPDX-License-Identifier: MIT
//
// What terminators do while somebody wants to know of branches: note them in the log, from which
// branch_log.hpp works out the rest. The log has room for as many as the budget allows.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// The terminator of Core::block, a near branch, goes to `to`.
[[gnu::always_inline]] inline void observe_branch(Core& core, bool taken, std::uint64_t to) {
  LoggedBranch* entry = core.log_end;
  core.log_end = entry + 1;
  entry->edge = EdgeRef{core.block, taken ? 1u : 0u};
  entry->to = to;
  entry->cycle = core.cycles_at_end - budget::cycles_of(core.budget);
}

/// The terminator of Core::block, not a near branch, has set the CPU up to go on at `to`.
void observe_far_branch(Core& core, std::uint64_t to, bool aborted = false);

}  // namespace vpmu::machine::x86
