// SPDX-License-Identifier: MIT
//
// From block to block: what terminators end with. Counting how a block was left is all that
// retiring costs; see core.hpp.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"

namespace vpmu::machine::x86 {

/// Adds what the pending edges count to the retire totals (interpreter.cpp).
void hand_over_edges(Core& core);

[[gnu::always_inline]] inline std::size_t jump_slot(std::uint64_t rip) {
  return (rip ^ rip >> 12) % Core::kJumpEntries;
}

[[gnu::always_inline]] inline void count_edge(Core& core, Edge& edge) {
  if (edge.count++ == 0) {
    (*core.pending_edges)[core.pending_count++] = &edge;
    if (core.pending_count == Core::kPendingEdges) [[unlikely]]
      hand_over_edges(core);
  }
}

/// Runs `block` if the budget covers it.
[[gnu::always_inline]] inline const Op* enter(Core& core, Block* block) {
  const std::uint64_t left = core.budget - block->cost;
  core.block = block;
  if (left & budget::kGuards) [[unlikely]] {
    core.rip = block->rip;
    core.stop = Stop::kBudget;
    return nullptr;
  }
  core.budget = left;
  VPMU_RUN(core, block->ops);
}

/// Leaves the running block for the fixed address `rip`: edge 0 falls through, edge 1 is taken.
[[gnu::always_inline]] inline const Op* leave(Core& core, unsigned number, std::uint64_t rip) {
  Edge& edge = core.block->edge[number];
  count_edge(core, edge);
  if (edge.target != nullptr) [[likely]]
    return enter(core, edge.target);
  core.rip = rip;
  core.left_through = &edge;
  core.stop = Stop::kLookup;
  return nullptr;
}

/// Leaves the running block (taken) for an address worked out at run time.
[[gnu::always_inline]] inline const Op* leave_indirect(Core& core, std::uint64_t rip) {
  count_edge(core, core.block->edge[1]);
  Block* next = (*core.jumps)[jump_slot(rip)];
  if (next->rip == rip && next->mode == core.mode) [[likely]]
    return enter(core, next);
  core.rip = rip;
  core.left_through = nullptr;
  core.stop = Stop::kLookup;
  return nullptr;
}

/// Ends a terminator that may have changed anything: interrupts, modes, time. The next instruction
/// is at `rip`; `taken` if this was a branch.
inline const Op* finish(Core& core, std::uint64_t rip, bool taken = false) {
  count_edge(core, core.block->edge[taken ? 1 : 0]);
  core.rip = rip;
  core.stop = Stop::kDone;
  return nullptr;
}

/// As finish(), for an instruction that is no branch; its Op holds the next address in `immediate`.
inline const Op* finish_in_order(Core& core, const Op* op) {
  return finish(core, op->immediate);
}

}  // namespace vpmu::machine::x86
