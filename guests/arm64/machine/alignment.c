// SPDX-License-Identifier: MIT
//
// What must be aligned always: exclusive, acquire and release accesses, and the stack pointer.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define UNMAPPED 0x80000000u

enum { WRITE = 1 << 6, TRANSLATION = 0x04, ALIGNMENT = 0x21 };

static uint64_t words[4] __attribute__((aligned(64)));
USER_DATA static uint64_t user_words[4] __attribute__((aligned(64)));

static void check_accesses(void) {
  const uint64_t odd = (uint64_t)words + 1;
  const struct attempt attempts[] = {
      {"LDXR that is not aligned", read_exclusive, odd, ESR(EC_DATA_ABORT, ALIGNMENT), true, 0},
      {"LDAR that is not aligned", read_acquire, odd, ESR(EC_DATA_ABORT, ALIGNMENT), true, 0},
      {"STLR that is not aligned", write_release, odd, ESR(EC_DATA_ABORT, WRITE | ALIGNMENT), true,
       0},
      {"STXR without its LDXR that is not aligned", write_exclusive, odd,
       ESR(EC_DATA_ABORT, WRITE | ALIGNMENT), true, 0},
  };
  check_attempts(attempts, LENGTH(attempts));
  const struct attempt user_attempts[] = {
      {"EL0: LDXR that is not aligned", user_read_exclusive, (uint64_t)user_words + 4,
       ESR(EC_DATA_ABORT_EL0, ALIGNMENT), true, 0},
      {"EL0: STXR that is not aligned", user_write_exclusive, (uint64_t)user_words + 4,
       ESR(EC_DATA_ABORT_EL0, WRITE | ALIGNMENT), true, 0},
  };
  check_user_attempts(user_attempts, LENGTH(user_attempts));
}

// ---- The stack pointer ----------------------------------------------------------------------

static void use_stack_of_el0(void* sp) {
  __asm__ volatile(
      "msr sp_el0, %0\n"
      "msr spsel, #0\n"
      "ldr x1, [sp]\n"
      "msr spsel, #1\n"
      :
      : "r"(sp)
      : "x1", "memory");
}

static void check_stacks(void) {
  static uint64_t stack[4] __attribute__((aligned(16)));
  CHECK(guard(use_stack_of_el0, stack).kind == NO_TRAP, "EL1t uses SP_EL0");
  struct trap trap = guard(use_stack_of_el0, (char*)stack + 8);
  CHECK(trap.esr == ESR(EC_SP_ALIGNMENT, 0) && trap.vector == 0 && (trap.spsr & 0xf) == SPSR_EL1T &&
            trap.sp == (uint64_t)stack + 8,
        "a load from a misaligned SP faults at EL1, through the vector for SP_EL0");
  trap = guard(use_stack_of_el0, (void*)(uint64_t)UNMAPPED);
  CHECK(trap.esr == ESR(EC_DATA_ABORT, TRANSLATION | 1) && trap.vector == 0,
        "so does a data abort at EL1t");

  const uint64_t entry = (uint64_t)user_read_stack;
  const uint64_t misaligned = USER_STACK_TOP - 8;
  trap = run_user((struct user_entry){.pc = entry, .sp = misaligned});
  CHECK(trap.kind == EC_SVC, "EL0: without SCTLR.SA0 the stack needs no alignment");
  write_sysreg(sctlr_el1, SCTLR_START | SCTLR_SA0);
  isb();
  trap = run_user((struct user_entry){.pc = entry, .sp = misaligned});
  CHECK(trap.esr == ESR(EC_SP_ALIGNMENT, 0) && trap.elr == entry && trap.vector == 8,
        "EL0: with SCTLR.SA0 it does");
  write_sysreg(sctlr_el1, SCTLR_START);
  isb();
}

void guest_main(void) {
  check_accesses();
  check_stacks();
}
