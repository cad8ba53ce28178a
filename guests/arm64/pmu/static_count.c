// SPDX-License-Identifier: MIT
//
// Counts the instructions of static_computation(), from its first to its RET, with an event counter
// and the cycle counter at once. Prints "instructions N" and "result X". With steps=on it is also
// run by software steps, one exception for each instruction: an independent count.
#include "static_computation.h"

#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { MDSCR_SS = 1, MDSCR_KDE = 1 << 13 };

static volatile uint64_t steps;

static void on_step(struct trap* frame) {
  ++steps;
  if (frame->elr == (uint64_t)stepped_call_end) {
    frame->spsr = (frame->spsr & ~(uint64_t)SPSR_SS) | SPSR_D;
  } else {
    frame->spsr |= SPSR_SS;
  }
}

static void check_steps(uint64_t instructions, uint64_t result) {
  set_handler(EC_STEP, on_step);
  write_sysreg(oslar_el1, 0);
  isb();
  write_sysreg(mdscr_el1, MDSCR_SS | MDSCR_KDE);
  isb();
  const uint64_t stepped = stepped_call(static_computation);
  write_sysreg(mdscr_el1, 0);
  isb();
  CHECK_EQUAL(stepped, result, "the same result by steps");
  CHECK_EQUAL(steps, instructions, "as many steps as instructions");
}

void guest_main(void) {
  pmu_start();
  pmu_arm(0, EVENT_INST_RETIRED, 0);
  pmu_arm(PMU_CYCLE_COUNTER, 0, 0);
  const uint64_t result = counted_call(pmu_switch(), static_computation);
  const uint64_t counted = pmu_read(0);
  print("result %016lx\n", result);
  print("instructions %lu\n", counted - COUNTED_CALL_OVERHEAD);
  CHECK(counted > COUNTED_CALL_OVERHEAD, "it counts");
  CHECK_EQUAL(pmu_read(PMU_CYCLE_COUNTER), counted, "an instruction is a cycle");
  if (option_flag("steps=on")) check_steps(counted - COUNTED_CALL_OVERHEAD, result);
}
