// SPDX-License-Identifier: MIT
//
// Loops of which every instruction and every branch is known: for interrupts that come in the
// middle, and for records of which somebody has to know whose they are.
#pragma once

#include <stdint.h>

#include "runtime/lbr.h"

enum { LOOP_STEPS = 11, LOOP_BRANCHES = 5 };

/// One round: the addresses of its instructions in the order in which they are executed, and its
/// taken branches.
struct known_loop {
  uint64_t steps[LOOP_STEPS];
  struct {
    uint64_t step;  ///< the instruction that it is
    uint64_t from, to;
    uint64_t what;  ///< one of LBR_JCC to LBR_RET
  } branches[LOOP_BRANCHES];
};
extern const struct known_loop kernel_loop, second_loop, user_loop;

/// Starts recording, then counting, then does kernel_loop `rounds` times; stops counting, then
/// recording. The WRMSR that starts counting is the last instruction before the first round.
void run_kernel_loop(const struct pmu_switch* recording, const struct pmu_switch* counting,
                     uint64_t rounds);
/// The same with second_loop.
void run_second_loop(const struct pmu_switch* recording, const struct pmu_switch* counting,
                     uint64_t rounds);
/// User code: user_loop, RDI rounds; then INT 0x80. USER_LOOP_SETUP instructions before the first
/// round.
void run_user_loop(void);
enum { USER_LOOP_SETUP = 2 };

/// The step at this address; LOOP_STEPS if it is not in the loop.
unsigned step_at(const struct known_loop* loop, uint64_t rip);
/// Are the `count` newest records what the loop does, recorded with this filter (LBR_*), before
/// step `step`?
bool are_before(const struct known_loop* loop, uint64_t what, unsigned step,
                const struct lbr_record* records, unsigned count);
/// The same when the loop has ended.
bool are_at_end(const struct known_loop* loop, uint64_t what, const struct lbr_record* records,
                unsigned count);
