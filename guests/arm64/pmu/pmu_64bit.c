// SPDX-License-Identifier: MIT
//
// PMUv3p5: event counters of 64 bits, and PMCR_EL0.LP, which says at which width they overflow.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"

#define UPPER 0x1234567800000000u

static void check_counters(void) {
  bool all = true;
  for (unsigned i = 0; i < pmu.counters; ++i) {
    pmu_clear();
    pmu_arm(i, EVENT_INST_RETIRED, UPPER + 0xffffffff);
    sled(pmu_switch());
    all = all && pmu_read(i) == UPPER + 0xffffffff + SLED_LENGTH + 1;
  }
  CHECK(all, "all carry into their upper half");
}

static void check_overflow(void) {
  pmu_clear();
  pmu_arm(0, EVENT_INST_RETIRED, UPPER + 0xffffff00);
  sled(pmu_switch());
  CHECK_EQUAL(read_sysreg(pmovsclr_el0), 1, "PMCR.LP 0: the lower half overflows");
  pmu_clear();
  pmu.pmcr |= PMCR_LP;
  pmu_arm(0, EVENT_INST_RETIRED, UPPER + 0xffffff00);
  sled(pmu_switch());
  CHECK_EQUAL(read_sysreg(pmovsclr_el0), 0, "PMCR.LP 1: it does not");
  unsigned wrong = 0;
  for (uint64_t n = SLED_LENGTH - 100; n <= SLED_LENGTH + 100; ++n) {
    write_sysreg(pmovsclr_el0, ~0ULL);
    pmu_arm(0, EVENT_INST_RETIRED, -n);
    sled(pmu_switch());
    const bool overflowed = read_sysreg(pmovsclr_el0) == 1;
    if (overflowed != (n <= SLED_LENGTH + 1) || pmu_read(0) != SLED_LENGTH + 1 - n) ++wrong;
  }
  CHECK_EQUAL(wrong, 0, "all 64 bits do, with the N-th instruction");
  pmu.pmcr &= ~(uint64_t)PMCR_LP;
}

static void check_chain(void) {
  if (!pmu_has(EVENT_CHAIN)) return;
  pmu_clear();
  pmu_arm(0, EVENT_INST_RETIRED, UPPER + 0xffffff00);
  pmu_arm(1, EVENT_CHAIN, 5);
  sled(pmu_switch());
  CHECK_EQUAL(pmu_read(1), 6, "CHAIN still counts overflows of 32 bits");
}

void guest_main(void) {
  pmu_start();
  if (!pmu.wide) {
    CHECK(pmu.version < 6, "no PMUv3p5: counters of 32 bits");
    return;
  }
  check_counters();
  check_overflow();
  check_chain();
}
