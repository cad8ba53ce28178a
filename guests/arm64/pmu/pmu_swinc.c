// SPDX-License-Identifier: MIT
//
// SW_INCR: counters that count writes to PMSWINC_EL0.
#include "machine/attempts.h"
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"

static void increment(uint64_t counters, unsigned times) {
  for (unsigned i = 0; i < times; ++i) write_sysreg(pmswinc_el0, counters);
}

void guest_main(void) {
  pmu_start();
  const unsigned last = pmu.counters - 1;
  pmu_arm(0, EVENT_SW_INCR, 0);
  pmu_arm(last, EVENT_SW_INCR, 100);
  increment(1, 3);
  CHECK_EQUAL(pmu_read(0), 0, "nothing while PMCR.E is 0");
  pmu_enable();
  increment(1, 3);
  increment(1 | 1ULL << last, 5);
  increment(0, 4);
  CHECK_EQUAL(pmu_read(0), 8, "one for each write that has its bit");
  CHECK_EQUAL(pmu_read(last), 105, "each counter by its own bit");
  write_sysreg(pmcntenclr_el0, 1);
  increment(1, 5);
  CHECK_EQUAL(pmu_read(0), 8, "not without its bit of PMCNTEN");
  pmu_arm(0, EVENT_INST_RETIRED, 0);
  write_sysreg(pmcntenclr_el0, 1);
  pmu_write(0, 50);
  increment(1, 5);
  CHECK_EQUAL(pmu_read(0), 50, "nor of a counter of another event");
  pmu_arm(0, EVENT_SW_INCR, 0xffffffff);
  increment(1, 1);
  CHECK(read_sysreg(pmovsclr_el0) == 1 && (uint32_t)pmu_read(0) == 0, "and they overflow");
  write_sysreg(pmovsclr_el0, ~0ULL);
  pmu_arm(0, EVENT_SW_INCR | PMEVTYPER_P, 0);
  increment(1, 5);
  CHECK_EQUAL(pmu_read(0), 0, "PMEVTYPER.P: not at EL1");
  write_sysreg(pmuserenr_el0, PMUSERENR_SW);
  isb();
  CHECK(user_survives(user_write_pmswinc, 1), "EL0 may, with PMUSERENR.SW");
  CHECK_EQUAL(pmu_read(0), 1, "and that counts");
  pmu_disable();
  pmu_clear();
}
