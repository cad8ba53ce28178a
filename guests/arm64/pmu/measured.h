// SPDX-License-Identifier: MIT
//
// Pieces of code of which every event is known. Each starts counting with its first counted
// instruction, the MSR to PMCR_EL0, and stops with another, which is not counted.
#pragma once

#include <stdint.h>

#include "runtime/pmu.h"

enum { BLOCK_ROUNDS = 100 };

/// The two values of PMCR_EL0.
struct pmu_switch {
  uint64_t on, off;
};
static inline struct pmu_switch pmu_switch(void) {
  return (struct pmu_switch){pmu.pmcr | PMCR_E, pmu.pmcr};
}

/// BLOCK_ROUNDS rounds of a load, a store, a call and its return, an indirect jump, SUBS and B.NE.
void measured_block(struct pmu_switch pmcr);
enum { BLOCK_INSTRUCTIONS = 7 * BLOCK_ROUNDS + 1, BLOCK_BRANCHES = 4 * BLOCK_ROUNDS };

/// SLED_LENGTH NOPs from sled_begin on; the MSR before them is instruction 1.
void sled(struct pmu_switch pmcr);
extern const char sled_begin[];
enum { SLED_LENGTH = 1000 };

/// `rounds` rounds of SUBS and B.NE; branch_loop_begin is the SUBS.
void branch_loop(struct pmu_switch pmcr, uint64_t rounds);
extern const char branch_loop_begin[], branch_loop_end[];

/// Calls function() between starting and stopping; counted in addition to it are
/// COUNTED_CALL_OVERHEAD instructions: MSR and BLR.
uint64_t counted_call(struct pmu_switch pmcr, uint64_t (*function)(void));
enum { COUNTED_CALL_OVERHEAD = 2 };

/// The same, counting nothing, with the function run by software steps: it returns to
/// stepped_call_end. See static_count.c.
uint64_t stepped_call(uint64_t (*function)(void));
extern const char stepped_call_end[];

// User code. All of it ends with SVC #0x99, which is counted.
/// measured_block()'s rounds, after USER_BLOCK_SETUP instructions.
void user_block(void);
enum { USER_BLOCK_SETUP = 3, USER_BLOCK_INSTRUCTIONS = 7 * BLOCK_ROUNDS + USER_BLOCK_SETUP + 1 };
/// x0 rounds of SVC #1, SUBS and B.NE.
void user_system_calls(void);
/// x0 rounds of SUBS and B.NE.
void user_branch_loop(void);
extern const char user_branch_loop_end[];

/// What is known of both blocks.
static const struct {
  enum pmu_event event;
  const char* name;
  uint64_t count;  ///< in the kernel's; the user's has USER_BLOCK_SETUP more instructions
} block_counts[] = {
    {EVENT_INST_RETIRED, "INST_RETIRED", BLOCK_INSTRUCTIONS},
    {EVENT_CPU_CYCLES, "CPU_CYCLES", BLOCK_INSTRUCTIONS},
    {EVENT_INST_SPEC, "INST_SPEC", BLOCK_INSTRUCTIONS},
    {EVENT_BUS_CYCLES, "BUS_CYCLES", BLOCK_INSTRUCTIONS},
    {EVENT_BR_RETIRED, "BR_RETIRED", BLOCK_BRANCHES},
    {EVENT_BR_PRED, "BR_PRED", BLOCK_BRANCHES},
    {EVENT_MEM_ACCESS, "MEM_ACCESS", 2 * BLOCK_ROUNDS},
    {EVENT_L1D_CACHE, "L1D_CACHE", 2 * BLOCK_ROUNDS},
    {EVENT_LD_RETIRED, "LD_RETIRED", BLOCK_ROUNDS},
    {EVENT_ST_RETIRED, "ST_RETIRED", BLOCK_ROUNDS},
    {EVENT_BR_RETURN_RETIRED, "BR_RETURN_RETIRED", BLOCK_ROUNDS},
    {EVENT_EXC_TAKEN, "EXC_TAKEN", 0},
    {EVENT_EXC_RETURN, "EXC_RETURN", 0},
    {EVENT_SW_INCR, "SW_INCR", 0},
};
enum { BLOCK_COUNTS = sizeof block_counts / sizeof *block_counts };
/// In the recommended events, which PMCEID says nothing about: those that all three models have.
static const struct {
  unsigned event;
  const char* name;
  uint64_t count;
} recommended_counts[] = {
    {0x40, "L1D_CACHE_RD", BLOCK_ROUNDS},
    {0x41, "L1D_CACHE_WR", BLOCK_ROUNDS},
    {0x66, "MEM_ACCESS_RD", BLOCK_ROUNDS},
    {0x67, "MEM_ACCESS_WR", BLOCK_ROUNDS},
    {0x70, "LD_SPEC", BLOCK_ROUNDS},
    {0x71, "ST_SPEC", BLOCK_ROUNDS},
    {0x76, "PC_WRITE_SPEC", BLOCK_BRANCHES - 1},
    {0x79, "BR_RETURN_SPEC", BLOCK_ROUNDS},
};
enum { RECOMMENDED_COUNTS = sizeof recommended_counts / sizeof *recommended_counts };
