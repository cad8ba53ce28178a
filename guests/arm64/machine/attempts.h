// SPDX-License-Identifier: MIT
//
// Single instructions that may fault, for EL1 and, with user_ before the name, for EL0. The
// argument is in x0. Those for EL0 end with SVC #USER_SURVIVED if nothing happens.
#pragma once

#include <stdint.h>

#include "runtime/traps.h"

enum { USER_SURVIVED = 0x99 };

#define ATTEMPT(name) \
  void name(void*);   \
  void user_##name(void*)
ATTEMPT(undefined);
ATTEMPT(halting_debug);
ATTEMPT(supervisor_call);
ATTEMPT(breakpoint);
ATTEMPT(unknown_register);
ATTEMPT(read_8);
ATTEMPT(read_32);
ATTEMPT(write_8);
ATTEMPT(write_32);
ATTEMPT(read_64);
ATTEMPT(write_64);
ATTEMPT(read_pair);
ATTEMPT(read_and_increment);
ATTEMPT(read_quad);
ATTEMPT(read_exclusive);
ATTEMPT(write_exclusive);
ATTEMPT(read_acquire);
ATTEMPT(write_release);
ATTEMPT(jump);
ATTEMPT(float_move);
ATTEMPT(simd_add);
ATTEMPT(zero_block);
ATTEMPT(clean_data);
ATTEMPT(invalidate_code);
ATTEMPT(prefetch);
ATTEMPT(read_cache_type);
ATTEMPT(read_daif);
ATTEMPT(mask_interrupts);
ATTEMPT(wait_for_interrupt);
ATTEMPT(wait_for_event);
ATTEMPT(read_control);
ATTEMPT(write_control);
ATTEMPT(exception_return);
ATTEMPT(hypervisor_call);
ATTEMPT(invalidate_tlb);
ATTEMPT(read_stack);
ATTEMPT(read_virtual_counter);
ATTEMPT(read_physical_counter);
ATTEMPT(read_virtual_timer);
ATTEMPT(read_physical_timer);
ATTEMPT(read_pmcr);
ATTEMPT(read_pmccntr);
ATTEMPT(read_pmevcntr1);
ATTEMPT(read_pmxevcntr);
ATTEMPT(write_pmswinc);
ATTEMPT(write_pmcntenset);
ATTEMPT(read_debug_control);
#undef ATTEMPT

/// ESR_EL1 of a trapped MRS, MSR or system instruction.
#define TRAPPED(op0, op1, crn, crm, op2, rt, read) \
  ESR(EC_SYSTEM_REGISTER,                          \
      (op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (rt) << 5 | (crm) << 1 | (read))

struct attempt {
  const char* what;
  void (*code)(void*);
  uint64_t argument;
  uint64_t esr;
  bool sets_far;    ///< FAR_EL1 becomes the argument
  unsigned behind;  ///< ELR_EL1 is so many bytes behind the instruction
};
/// Makes all of them at EL1 and checks how they end, whose `code` is at the instruction.
void check_attempts(const struct attempt* attempts, unsigned count);
/// The same at EL0.
void check_user_attempts(const struct attempt* attempts, unsigned count);
/// One at EL0: how it ended.
struct trap attempt_in_user(void (*code)(void*), uint64_t argument);
bool user_survives(void (*code)(void*), uint64_t argument);
/// An EL0 attempt ends with this ESR_EL1.
bool user_faults(uint64_t esr, void (*code)(void*), uint64_t argument);
