// SPDX-License-Identifier: MIT
//
// Counters start, stop, go on and wrap: each by itself, by PMCNTEN and by PMCR_EL0.E, read directly
// and through PMSELR_EL0. With pmu=off there are none at all.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static void read_control(void* unused) {
  (void)unused;
  read_sysreg(pmcr_el0);
}

static void check_absent(void) {
  CHECK(!pmu_probe(), "ID_AA64DFR0_EL1 says that there is no PMU");
  CHECK(expect_fault(ESR(EC_UNKNOWN, 0), read_control, 0), "and its registers are undefined");
}

static void check_enables(void) {
  pmu_arm(0, EVENT_INST_RETIRED, 0);
  measured_block(pmu_switch());
  const uint64_t once = pmu_read(0);
  measured_block(pmu_switch());
  CHECK_EQUAL(pmu_read(0), 2 * once, "a counter that is stopped goes on where it was");
  measured_block((struct pmu_switch){pmu.pmcr, pmu.pmcr});
  CHECK_EQUAL(pmu_read(0), 2 * once, "without PMCR.E it stands still");
  write_sysreg(pmcntenclr_el0, 1);
  measured_block(pmu_switch());
  CHECK_EQUAL(pmu_read(0), 2 * once, "and without its bit of PMCNTEN");
  pmu_enable();
  pmu_arm(0, EVENT_INST_RETIRED, 1000000);
  const uint64_t first = read_sysreg(pmevcntr0_el0);
  const uint64_t second = read_sysreg(pmevcntr0_el0);
  pmu_disable();
  CHECK(first > 1000000 && second == first + 1, "reads see each other, and nothing else");
  pmu_clear();
}

static void check_each(void) {
  bool alone = true;
  for (unsigned i = 0; i < pmu.counters; ++i) {
    pmu_clear();
    for (unsigned j = 0; j < pmu.counters; ++j) pmu_arm(j, EVENT_INST_RETIRED, j);
    write_sysreg(pmcntenclr_el0, ~0ULL);
    write_sysreg(pmcntenset_el0, 1ULL << i);
    sled(pmu_switch());
    for (unsigned j = 0; j < pmu.counters; ++j) {
      alone = alone && pmu_read(j) == j + (i == j ? SLED_LENGTH + 1 : 0);
    }
  }
  CHECK(alone, "each of %u counters counts alone", pmu.counters);
}

static void check_wrap(void) {
  pmu_clear();
  for (unsigned i = 0; i < pmu.counters; ++i) pmu_arm(i, EVENT_INST_RETIRED, 0xfffffff0 + i);
  pmu_arm(PMU_CYCLE_COUNTER, 0, -16ULL);
  sled(pmu_switch());
  bool all = true;
  const uint64_t carry = pmu.wide ? 1ULL << 32 : 0;
  for (unsigned i = 0; i < pmu.counters; ++i) {
    all = all && pmu_read(i) == carry + SLED_LENGTH + 1 - 16 + i;
  }
  CHECK(all, "event counters wrap at 32 bits%s", pmu.wide ? " into their upper half" : "");
  CHECK_EQUAL(pmu_read(PMU_CYCLE_COUNTER), SLED_LENGTH + 1 - 16, "the cycle counter at 64");
  CHECK_EQUAL(read_sysreg(pmovsclr_el0), pmu.all, "and all say so");
  pmu_clear();
  // PMCR.LC 0: overflows of the cycle counter are those of its lower half. It still has 64 bits.
  const uint64_t long_counter = pmu.pmcr;
  pmu.pmcr = 0;
  write_sysreg(pmcr_el0, 0);
  if ((read_sysreg(pmcr_el0) & PMCR_LC) == 0) {
    pmu_arm(PMU_CYCLE_COUNTER, 0, 0xfffffff0);
    sled(pmu_switch());
    CHECK(pmu_read(PMU_CYCLE_COUNTER) == (1ULL << 32) + SLED_LENGTH + 1 - 16 &&
              read_sysreg(pmovsclr_el0) == PMU_CYCLES,
          "PMCR.LC 0: it overflows at 32 bits");
  } else {
    check_skip("PMCR.LC is one");
  }
  pmu.pmcr = long_counter;
}

static void check_divider(void) {
  pmu_clear();
  const uint64_t before = pmu.pmcr;
  pmu.pmcr = PMCR_D;
  write_sysreg(pmcr_el0, PMCR_D);
  if ((read_sysreg(pmcr_el0) & PMCR_D) != 0) {
    pmu_arm(PMU_CYCLE_COUNTER, 0, 0);
    branch_loop(pmu_switch(), 32000);
    CHECK_EQUAL(pmu_read(PMU_CYCLE_COUNTER), 64000 / 64, "PMCR.D: one of 64 cycles");
  } else {
    check_skip("PMCR.D is zero");
  }
  pmu.pmcr = before;
  pmu_clear();
}

void guest_main(void) {
  if (option_flag("pmu=off")) {
    check_absent();
    return;
  }
  pmu_start();
  check_enables();
  check_each();
  check_wrap();
  check_divider();
}
