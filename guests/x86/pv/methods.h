// SPDX-License-Identifier: MIT
//
// Pieces of code of which every event is known, between what starts and what stops counting: a
// WRMSR each, or a hypercall each. What starts is the first counted instruction, what stops is not
// counted any more.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
  PV_ROUNDS = 100,
  /// The WRMSR that starts, two before the loop, seven in each round, three before what stops.
  PV_MSR_INSTRUCTIONS = 6 + 7 * PV_ROUNDS,
  /// The same, with the hypercall that starts.
  PV_CALL_INSTRUCTIONS = 6 + 7 * PV_ROUNDS,
  /// CALL, its return, an indirect jump and a conditional one.
  PV_BRANCHES = 4 * PV_ROUNDS,
};

struct pv_by_msr {
  uint32_t msr, pad;
  uint64_t start, stop;
};
void pv_block_by_msr(const struct pv_by_msr* by);

struct pv_by_call {
  uint32_t start, stop;  ///< operations
  uint32_t id;
  uint32_t amd;  ///< VMMCALL
};
/// The sum of what both calls returned.
int64_t pv_block_by_call(const struct pv_by_call* by);

/// pv_block_by_msr() without the loop: `rounds` rounds of DEC and JNZ, 2 * rounds + 5 instructions.
void pv_loop_by_msr(const struct pv_by_msr* by, uint64_t rounds);
