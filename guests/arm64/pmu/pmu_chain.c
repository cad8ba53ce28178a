// SPDX-License-Identifier: MIT
//
// CHAIN: an odd counter counts the overflows of the even one before it, and the two are a counter
// of 64 bits.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/start.h"

enum { NEAR = 0xffffff00 };

static void arm_pair(unsigned even, uint64_t low, uint64_t high) {
  pmu_arm(even, EVENT_INST_RETIRED, low);
  pmu_arm(even + 1, EVENT_CHAIN, high);
}

static void check_pairs(void) {
  for (unsigned even = 0; even + 1 < pmu.counters; even += 2) {
    pmu_clear();
    arm_pair(even, NEAR, 41);
    sled(pmu_switch());
    const uint32_t low = NEAR + SLED_LENGTH + 1u;
    CHECK_EQUAL(pmu_read(even), low, "counter %u wraps", even);
    CHECK_EQUAL(pmu_read(even + 1), 42, "and counter %u counts it", even + 1);
    CHECK_EQUAL(read_sysreg(pmovsclr_el0), 1ULL << even, "the even one has overflowed");
  }
}

static void check_upper_overflow(void) {
  pmu_clear();
  arm_pair(0, NEAR, 0xffffffff);
  sled(pmu_switch());
  CHECK(pmu_read(1) == 0 && read_sysreg(pmovsclr_el0) == 3, "both overflow at 64 bits");
}

static void check_conditions(void) {
  pmu_clear();
  arm_pair(0, NEAR, 7);
  write_sysreg(pmcntenclr_el0, 2);
  sled(pmu_switch());
  CHECK_EQUAL(pmu_read(1), 7, "an odd counter that is disabled does not count");
  pmu_clear();
  pmu_arm(0, EVENT_CHAIN, 9);
  pmu_arm(1, EVENT_INST_RETIRED, NEAR);
  sled(pmu_switch());
  CHECK_EQUAL(pmu_read(0), 9, "in an even counter CHAIN counts nothing");
  pmu_clear();
  arm_pair(0, 0, 3);
  pmu_arm(2, EVENT_INST_RETIRED, NEAR);
  sled(pmu_switch());
  CHECK_EQUAL(pmu_read(1), 3, "nor does it see another counter's overflow");
}

static volatile unsigned interrupts;
static volatile uint64_t interrupted_at;
static void on_overflow(unsigned intid) {
  (void)intid;
  ++interrupts;
  interrupted_at = interrupted()->elr;
  write_sysreg(pmovsclr_el0, 3);
}

/// Interrupts of the pair only: exactly where 64 bits wrap.
static void check_interrupt(void) {
  gic_start();
  set_interrupt_handler(INTID_PMU, on_overflow);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= SLED_LENGTH; n += 7) {
    pmu_clear();
    arm_pair(0, -n & 0xffffffff, 0xffffffff);
    write_sysreg(pmintenset_el1, 2);
    interrupts = 0;
    interrupts_on();
    sled(pmu_switch());
    interrupts_off();
    if (interrupts != 1 || interrupted_at != (uint64_t)sled_begin + 4 * (n - 1)) ++wrong;
  }
  CHECK_EQUAL(wrong, 0, "the odd counter interrupts at the instruction that wraps both");
  pmu_clear();
}

void guest_main(void) {
  pmu_start();
  if (!pmu_has(EVENT_CHAIN)) {
    check_skip("no CHAIN");
    CHECK(pmu.wide, "that is for counters of 64 bits");
    return;
  }
  check_pairs();
  check_upper_overflow();
  check_conditions();
  check_interrupt();
}
