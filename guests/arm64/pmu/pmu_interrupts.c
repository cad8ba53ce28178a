// SPDX-License-Identifier: MIT
//
// PPI 23 is up while a counter that overflowed has its interrupt enabled: what raises it, what
// lowers it, and sampling with it.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { PERIOD = 1000, SAMPLES = 200 };

static volatile unsigned interrupts, limit;
static volatile uint64_t lowest = ~0ULL, highest;

static void take(unsigned intid) {
  (void)intid;
  if (++interrupts == limit) write_sysreg(pmintenclr_el1, ~0ULL);
}
static void window(void) {
  interrupts_on();
  isb();
  interrupts_off();
}

static void check_line(void) {
  CHECK(!gic_pending(INTID_PMU), "without an overflow the line is down");
  write_sysreg(pmovsset_el0, 1);
  isb();
  CHECK(!gic_pending(INTID_PMU), "an overflow without its PMINTEN bit does not raise it");
  write_sysreg(pmintenset_el1, 2);
  pmu_enable();
  isb();
  CHECK(!gic_pending(INTID_PMU), "nor does another counter's");
  write_sysreg(pmintenset_el1, 1);
  isb();
  CHECK(gic_pending(INTID_PMU), "its own does");
  pmu_disable();
  isb();
  CHECK(!gic_pending(INTID_PMU), "PMCR.E 0 lowers it");
  pmu_enable();
  isb();
  CHECK(gic_pending(INTID_PMU), "and 1 raises it again");
  write_sysreg(pmintenclr_el1, 1);
  isb();
  CHECK(!gic_pending(INTID_PMU), "PMINTENCLR lowers it");
  write_sysreg(pmintenset_el1, 1);
  write_sysreg(pmovsclr_el0, 1);
  isb();
  CHECK(!gic_pending(INTID_PMU), "PMOVSCLR lowers it");

  set_interrupt_handler(INTID_PMU, take);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  limit = 3;
  write_sysreg(pmovsset_el0, 1);
  window();
  CHECK_EQUAL(interrupts, 3, "it is a level: it interrupts until it is lowered");
  limit = 1;
  interrupts = 0;
  write_sysreg(pmovsset_el0, PMU_CYCLES);
  write_sysreg(pmintenset_el1, PMU_CYCLES);
  window();
  CHECK_EQUAL(interrupts, 1, "the cycle counter has one, too");
  pmu_disable();
  pmu_clear();
}

static void sample(unsigned intid) {
  (void)intid;
  write_sysreg(pmevcntr0_el0, -(uint64_t)PERIOD & 0xffffffff);
  write_sysreg(pmovsclr_el0, 1);
  const uint64_t at = interrupted()->elr;
  if (at < lowest) lowest = at;
  if (at > highest) highest = at;
  if (++interrupts == SAMPLES) write_sysreg(pmcntenclr_el0, 1);
}

static void check_sampling(uint64_t type, const char* what) {
  interrupts = 0;
  lowest = ~0ULL;
  highest = 0;
  set_interrupt_handler(INTID_PMU, sample);
  pmu_clear();
  write_sysreg(pmintenset_el1, 1);
  pmu_arm(0, EVENT_INST_RETIRED | type, -(uint64_t)PERIOD & 0xffffffff);
  const struct trap trap =
      run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .spsr = SPSR_F, .x0 = 1});
  (void)trap;
  pmu_enable();
  // One more round than the samples need.
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop,
                               .spsr = SPSR_F,
                               .x0 = (uint64_t)PERIOD * (SAMPLES + 1) / 2});
  pmu_disable();
  CHECK_EQUAL(interrupts, SAMPLES, "%s: a sample every %u instructions", what, PERIOD);
  CHECK(lowest >= (uint64_t)user_branch_loop && highest <= (uint64_t)user_branch_loop_end,
        "%s: all in the loop", what);
  pmu_clear();
}

static void check_masked(void) {
  interrupts = 0;
  limit = 1;
  set_interrupt_handler(INTID_PMU, take);
  write_sysreg(pmintenset_el1, 1);
  pmu_arm(0, EVENT_INST_RETIRED, -(uint64_t)100 & 0xffffffff);
  sled(pmu_switch());
  CHECK(interrupts == 0, "a masked one waits");
  pmu_enable();
  isb();
  CHECK(gic_pending(INTID_PMU), "is pending");
  window();
  CHECK_EQUAL(interrupts, 1, "and is taken once it may be");
  pmu_disable();
  pmu_clear();
}

void guest_main(void) {
  pmu_start();
  gic_start();
  check_line();
  check_sampling(PMEVTYPER_P, "EL0 only");
  check_masked();
}
