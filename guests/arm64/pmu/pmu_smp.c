// SPDX-License-Identifier: MIT
//
// Every CPU has a PMU of its own (--smp 1 to 8): counts and interrupts are its own, to the
// instruction, whatever the others do.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/smp.h"
#include "runtime/start.h"

enum { ROUNDS = 100, PERIOD = 997, SAMPLES = 50 };

static unsigned cpus;
static volatile unsigned wrong[MAX_CPUS], interrupts[MAX_CPUS], elsewhere[MAX_CPUS];

static void count(void* unused) {
  (void)unused;
  const unsigned cpu = current_cpu();
  pmu_clear();
  for (unsigned round = 0; round < ROUNDS; ++round) {
    pmu_arm(0, EVENT_INST_RETIRED, 0);
    pmu_arm(1, EVENT_BR_PRED, cpu);
    pmu_arm(PMU_CYCLE_COUNTER, 0, 0);
    measured_block(pmu_switch());
    if (pmu_read(0) != BLOCK_INSTRUCTIONS || pmu_read(1) != BLOCK_BRANCHES + cpu ||
        pmu_read(PMU_CYCLE_COUNTER) != BLOCK_INSTRUCTIONS) {
      ++wrong[cpu];
    }
  }
  pmu_clear();
}

static void on_overflow(unsigned intid) {
  (void)intid;
  const unsigned cpu = current_cpu();
  write_sysreg(pmevcntr0_el0, -(uint64_t)PERIOD & 0xffffffff);
  write_sysreg(pmovsclr_el0, 1);
  const uint64_t at = interrupted()->elr;
  if (at < (uint64_t)branch_loop_begin || at > (uint64_t)branch_loop_end) ++elsewhere[cpu];
  ++interrupts[cpu];
}

static void sample(void* unused) {
  (void)unused;
  pmu_clear();
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  write_sysreg(pmintenset_el1, 1);
  pmu_arm(0, EVENT_BR_PRED, -(uint64_t)PERIOD & 0xffffffff);
  interrupts_on();
  branch_loop(pmu_switch(), PERIOD * SAMPLES);
  interrupts_off();
  pmu_clear();
  gic_disable(INTID_PMU);
}

static void on_all(void (*function)(void*)) {
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, function, 0);
  function(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

void guest_main(void) {
  const unsigned expected = (unsigned)option_number("cpus", smp_cpus());
  pmu_start();
  cpus = smp_start();
  CHECK_EQUAL(cpus, expected, "%u CPUs run", cpus);
  on_all(count);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    CHECK_EQUAL(wrong[cpu], 0, "CPU %u counts its own", cpu);
  }
  set_interrupt_handler(INTID_PMU, on_overflow);
  on_all(sample);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    // The handler branches, too: there are some more samples than the loop's own.
    CHECK(interrupts[cpu] >= SAMPLES && elsewhere[cpu] == 0, "CPU %u is interrupted in its loop",
          cpu);
  }
}
