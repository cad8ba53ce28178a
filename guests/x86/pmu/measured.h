// SPDX-License-Identifier: MIT
//
// Pieces of code of which every event is known. Each starts the counters in `enable` (a value of
// IA32_PERF_GLOBAL_CTRL) with its first counted instruction, the WRMSR, and stops all of them.
#pragma once

#include <stdint.h>

enum { BLOCK_ROUNDS = 100 };

/// BLOCK_ROUNDS rounds of a load, a store, a call and its return, an indirect jump, DEC and JNZ.
void measured_block(uint64_t enable);
enum {
  BLOCK_INSTRUCTIONS = 7 * BLOCK_ROUNDS + 4,
  BLOCK_BRANCHES = 4 * BLOCK_ROUNDS,
  BLOCK_CONDITIONAL = BLOCK_ROUNDS,
  BLOCK_TAKEN = 4 * BLOCK_ROUNDS - 1,
  BLOCK_INDIRECT = BLOCK_ROUNDS,
  BLOCK_CALLS = BLOCK_ROUNDS,
  BLOCK_RETURNS = BLOCK_ROUNDS,
  BLOCK_LOADS = 2 * BLOCK_ROUNDS,
  BLOCK_STORES = 2 * BLOCK_ROUNDS,
};

/// SLED_LENGTH one-byte NOPs from sled_begin on; the WRMSR before them is instruction 1.
void sled(uint64_t enable);
extern const char sled_begin[];
enum { SLED_LENGTH = 1000 };

/// `rounds` rounds of DEC and JNZ; branch_loop_begin is the DEC.
void branch_loop(uint64_t enable, uint64_t rounds);
extern const char branch_loop_begin[], branch_loop_end[];

/// STI and HLT, then CLI: WRMSR, STI, HLT are instructions 1 to 3. Returns after an interrupt.
void halt_once(uint64_t enable);

/// Calls function() between starting and stopping; counted in addition to it are
/// COUNTED_CALL_OVERHEAD instructions: WRMSR, CALL, a MOV to keep the result, and three to set up
/// the WRMSR that stops.
uint64_t counted_call(uint64_t enable, uint64_t (*function)(void));
enum { COUNTED_CALL_OVERHEAD = 6 };

// User code.
/// RDI times three instructions, SYSCALL among them; then INT 0x80.
void user_system_calls(void);
/// RDI rounds of DEC and JNZ; then INT 0x80.
void user_branch_loop(void);
/// RDPMC with ECX = EDI; result in EAX and EDX; then INT 0x80.
void user_rdpmc(void);

/// A system call entry of SHORT_SYSCALL_INSTRUCTIONS instructions, SYSRET included.
void short_syscall(void);
enum { SHORT_SYSCALL_INSTRUCTIONS = 4 };
