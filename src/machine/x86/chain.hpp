// SPDX-License-Identifier: MIT
//
// From block to block: what terminators end with. Counting how a block was left is all that
// retiring costs; see core.hpp.
#pragma once

#include <cstdint>

#include "machine/x86/core.hpp"
#include "machine/x86/observer.hpp"

namespace vpmu::machine::x86 {

/// Adds what the pending edges count to the retire totals (interpreter.cpp).
void hand_over_edges(Core& core);

[[gnu::always_inline]] inline std::size_t jump_slot(std::uint64_t rip) {
  return (rip ^ rip >> 12) % Core::kJumpEntries;
}

// The rare ways out, kept out of the handlers: each is a tail call.
/// The budget does not cover `block`.
[[gnu::noinline]] const Op* stop_for_budget(Core& core, Block* block);
/// Leaves through an edge that has no count yet or no target.
[[gnu::noinline]] const Op* leave_slowly(Core& core, unsigned number);
/// Leaves for an address that Core::jumps does not have, or through an edge without a count.
[[gnu::noinline]] const Op* leave_indirect_slowly(Core& core, std::uint64_t rip);

/// Counts that the running block was left.
inline void count_edge(Core& core, unsigned number) {
  if (core.block->edge[number].count++ != 0) return;
  (*core.pending_edges)[core.pending_count++] = EdgeRef{core.block, number};
  if (core.pending_count == Core::kPendingEdges) hand_over_edges(core);
}

/// Runs `block` if the budget covers it.
[[gnu::always_inline]] inline const Op* enter(Core& core, Block* block) {
  const std::uint64_t left = core.budget - block->cost;
  if (left & budget::kGuards) [[unlikely]]
    return stop_for_budget(core, block);
  core.block = block;
  core.budget = left;
  VPMU_RUN(core, block->ops);
}

/// Leaves the running block for its fixed next address: edge 0 falls through, edge 1 is taken.
[[gnu::always_inline]] inline const Op* leave(Core& core, unsigned number) {
  Edge& edge = core.block->edge[number];
  Block* target = edge.target;
  if (edge.count == 0 || target == nullptr) [[unlikely]]
    return leave_slowly(core, number);
  ++edge.count;
  return enter(core, target);
}

/// Leaves the running block (taken) for an address worked out at run time.
[[gnu::always_inline]] inline const Op* leave_indirect(Core& core, std::uint64_t rip) {
  Edge& edge = core.block->edge[1];
  Block* next = (*core.jumps)[jump_slot(rip)];
  if (edge.count == 0 || next->rip != rip || next->mode != core.mode) [[unlikely]]
    return leave_indirect_slowly(core, rip);
  ++edge.count;
  return enter(core, next);
}

/// Ends a terminator that may have changed anything: interrupts, modes, time. The next instruction
/// is at `rip`; `taken` if this was a branch.
inline const Op* finish(Core& core, std::uint64_t rip, bool taken = false) {
  count_edge(core, taken ? 1 : 0);
  if (taken && (core.block->mode.bits & Mode::kObserved) != 0) observe_far_branch(core, rip);
  core.rip = rip;
  core.stop = Stop::kDone;
  return nullptr;
}

/// As finish(), for an instruction that is no branch; its Op holds the next address in `immediate`.
inline const Op* finish_in_order(Core& core, const Op* op) {
  return finish(core, op->immediate);
}

}  // namespace vpmu::machine::x86
