// SPDX-License-Identifier: MIT
#include "machine/attempts.h"

#include "runtime/check.h"

static void check_one(const struct attempt* a, const struct trap* trap, unsigned vector) {
  const bool passed = trap->kind < TRAP_IRQ && trap->esr == a->esr && trap->vector == vector &&
                      trap->elr == (uint64_t)a->code + a->behind &&
                      (!a->sets_far || trap->far == a->argument);
  CHECK(passed, "%s", a->what);
  if (!passed) {
    print("      (vector %lu ESR 0x%08lx FAR 0x%lx ELR 0x%lx, not %u 0x%08lx 0x%lx 0x%lx)\n",
          trap->vector, trap->esr, trap->far, trap->elr, vector, a->esr, a->argument,
          (uint64_t)a->code + a->behind);
  }
}

void check_attempts(const struct attempt* attempts, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const struct trap trap = guard(attempts[i].code, (void*)attempts[i].argument);
    check_one(&attempts[i], &trap, 4);
  }
}

struct trap attempt_in_user(void (*code)(void*), uint64_t argument) {
  return run_user((struct user_entry){.pc = (uint64_t)code, .x0 = argument});
}

void check_user_attempts(const struct attempt* attempts, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const struct trap trap = attempt_in_user(attempts[i].code, attempts[i].argument);
    check_one(&attempts[i], &trap, 8);
  }
}

bool user_survives(void (*code)(void*), uint64_t argument) {
  return user_faults(ESR(EC_SVC, USER_SURVIVED), code, argument);
}

bool user_faults(uint64_t esr, void (*code)(void*), uint64_t argument) {
  const struct trap trap = attempt_in_user(code, argument);
  if (trap.kind < TRAP_IRQ && trap.esr == esr && trap.vector == 8) return true;
  print("      (got vector %lu ESR 0x%08lx, not ESR 0x%08lx)\n", trap.vector, trap.esr, esr);
  return false;
}
