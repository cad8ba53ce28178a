// SPDX-License-Identifier: MIT
//
// Pieces of code of which every event is known. Each starts counting with its first counted
// instruction, the WRMSR of a switch, and stops with another.
#pragma once

#include <stdint.h>

#include "runtime/pmu.h"

enum { BLOCK_ROUNDS = 100 };

/// BLOCK_ROUNDS rounds of a load, an INC of memory, a store, a call and its return, an indirect
/// jump, DEC and JNZ.
void measured_block(struct pmu_switch start);
enum {
  BLOCK_INSTRUCTIONS = 8 * BLOCK_ROUNDS + 5,
  BLOCK_BRANCHES = 4 * BLOCK_ROUNDS,
};

/// SLED_LENGTH one-byte NOPs from sled_begin on; the WRMSR before them is instruction 1.
void sled(struct pmu_switch start);
extern const char sled_begin[];
enum { SLED_LENGTH = 1000 };

/// `rounds` rounds of DEC and JNZ; branch_loop_begin is the DEC.
void branch_loop(struct pmu_switch start, uint64_t rounds);
extern const char branch_loop_begin[], branch_loop_end[];

/// STI and HLT, then CLI: WRMSR, STI, HLT are instructions 1 to 3. Returns after an interrupt.
void halt_once(struct pmu_switch start);
/// HLT with interrupts off: WRMSR, HLT are instructions 1 and 2. Returns after an NMI.
void halt_deaf(struct pmu_switch start);

/// Calls function() between starting and stopping; counted in addition to it are
/// COUNTED_CALL_OVERHEAD instructions: WRMSR, CALL, a MOV to keep the result, and three to set up
/// the WRMSR that stops.
uint64_t counted_call(struct pmu_switch start, uint64_t (*function)(void));
enum { COUNTED_CALL_OVERHEAD = 6 };

/// The WRMSRs of three switches, and of zero to the same three registers, with only MOVs between:
/// what the three count differently because they do not start and stop together is the same every
/// time, and no branch or access to memory.
void start_three(const struct pmu_switch* three);
void stop_three(const struct pmu_switch* three);

// User code.
/// measured_block()'s rounds; then INT 0x80, which is a branch.
void user_block(void);
/// RDI times three instructions, SYSCALL among them; then INT 0x80.
void user_system_calls(void);
/// RDI rounds of DEC and JNZ; then INT 0x80.
void user_branch_loop(void);
extern const char user_branch_loop_end[];
/// RDPMC with ECX = EDI; result in EAX and EDX; then INT 0x80.
void user_rdpmc(void);

/// A system call entry of SHORT_SYSCALL_INSTRUCTIONS instructions, SYSRET included.
void short_syscall(void);
enum { SHORT_SYSCALL_INSTRUCTIONS = 4 };

/// What is known of both blocks.
static const struct {
  enum pmu_event event;
  uint64_t kernel, user;
} block_counts[] = {
    {EVENT_INSTRUCTIONS, BLOCK_INSTRUCTIONS, 8 * BLOCK_ROUNDS + 3},
    {EVENT_BRANCHES, BLOCK_BRANCHES, 4 * BLOCK_ROUNDS + 1},
    {EVENT_CONDITIONAL_BRANCHES, BLOCK_ROUNDS, BLOCK_ROUNDS},
    {EVENT_TAKEN_BRANCHES, 4 * BLOCK_ROUNDS - 1, 4 * BLOCK_ROUNDS},
    {EVENT_INDIRECT_BRANCHES, BLOCK_ROUNDS, BLOCK_ROUNDS},
    {EVENT_CALLS, BLOCK_ROUNDS, BLOCK_ROUNDS},
    {EVENT_RETURNS, BLOCK_ROUNDS, BLOCK_ROUNDS},
    {EVENT_LOADS, 3 * BLOCK_ROUNDS, 3 * BLOCK_ROUNDS},
    {EVENT_STORES, 3 * BLOCK_ROUNDS, 3 * BLOCK_ROUNDS},
    {EVENT_ACCESSES, 6 * BLOCK_ROUNDS, 6 * BLOCK_ROUNDS},
    {EVENT_READ_MODIFY_WRITES, BLOCK_ROUNDS, BLOCK_ROUNDS},
};
enum { BLOCK_COUNTS = sizeof block_counts / sizeof *block_counts };
