// SPDX-License-Identifier: MIT
//
// A counter armed for N events overflows with the N-th, for every counter and every N: no
// instruction earlier, none later, neither in the status bit nor in the interrupt.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/start.h"

/// For the first wrong N: what makes it wrong.
static void tell(unsigned wrong, uint64_t n, uint64_t is, uint64_t should_be) {
  if (wrong == 1) print("      (N = %lu: 0x%lx instead of 0x%lx)\n", n, is, should_be);
}

/// What is N events from its overflow.
static uint64_t before_overflow(unsigned i, uint64_t n) {
  return i == PMU_CYCLE_COUNTER ? -n : -n & 0xffffffff;
}

// ---- Without interrupts -------------------------------------------------------------------------

/// Number of N in 1..total + 10 for which the overflow of `event` over measured_block(), of which
/// it counts `total`, is not what it should be.
static unsigned wrong_status(unsigned i, unsigned event, uint64_t total) {
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= total + 10; ++n) {
    pmu_arm(i, event, before_overflow(i, n));
    measured_block(pmu_switch());
    const bool overflowed = read_sysreg(pmovsclr_el0) == 1ULL << i;
    const uint64_t count = pmu_read(i) - before_overflow(i, n);
    const uint64_t mask = i == PMU_CYCLE_COUNTER || pmu.wide ? ~0ULL : 0xffffffff;
    if (overflowed != (n <= total) || (count & mask) != total)
      tell(++wrong, n, count & mask, total);
    write_sysreg(pmovsclr_el0, ~0ULL);
  }
  pmu_clear();
  return wrong;
}

static void check_status_bits(void) {
  for (unsigned i = 0; i < pmu.counters; ++i) {
    CHECK_EQUAL(wrong_status(i, EVENT_INST_RETIRED, BLOCK_INSTRUCTIONS), 0,
                "counter %u, instructions: it overflows at N, for every N up to %u", i,
                BLOCK_INSTRUCTIONS);
  }
  CHECK_EQUAL(wrong_status(PMU_CYCLE_COUNTER, 0, BLOCK_INSTRUCTIONS), 0,
              "the cycle counter: for every N up to %u", BLOCK_INSTRUCTIONS);
  for (unsigned e = 1; e < BLOCK_COUNTS; ++e) {
    if (!pmu_has(block_counts[e].event) || block_counts[e].count == 0) continue;
    CHECK_EQUAL(wrong_status(e % pmu.counters, block_counts[e].event, block_counts[e].count), 0,
                "counter %u, %s: for every N up to %lu", e % pmu.counters, block_counts[e].name,
                block_counts[e].count);
  }
}

// ---- With interrupts ----------------------------------------------------------------------------

static volatile unsigned interrupts;
static volatile uint64_t interrupted_at, overflows, armed;

static void on_overflow(unsigned intid) {
  (void)intid;
  ++interrupts;
  interrupted_at = interrupted()->elr;
  overflows = read_sysreg(pmovsclr_el0);
  write_sysreg(pmovsclr_el0, overflows);
  write_sysreg(pmcntenclr_el0, armed);
}

static unsigned wrong_interrupts(unsigned i, unsigned event) {
  unsigned wrong = 0;
  armed = 1ULL << i;
  write_sysreg(pmintenset_el1, armed);
  for (uint64_t n = 1; n <= SLED_LENGTH + 1; ++n) {
    pmu_arm(i, event, before_overflow(i, n));
    interrupts = 0;
    interrupts_on();
    sled(pmu_switch());
    interrupts_off();
    // The N-th counted instruction has retired: that is the MSR for 1, NOP number N - 1 for others.
    const uint64_t expected = (uint64_t)sled_begin + 4 * (n - 1);
    if (interrupts != 1 || overflows != armed || interrupted_at != expected) {
      tell(++wrong, n, interrupted_at, expected);
    }
  }
  write_sysreg(pmintenclr_el1, ~0ULL);
  pmu_clear();
  return wrong;
}

static void check_interrupts(void) {
  gic_start();
  set_interrupt_handler(INTID_PMU, on_overflow);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  for (unsigned i = 0; i < pmu.counters; ++i) {
    CHECK_EQUAL(wrong_interrupts(i, EVENT_INST_RETIRED), 0,
                "counter %u interrupts behind instruction N, for every N up to %u", i,
                SLED_LENGTH + 1);
  }
  CHECK_EQUAL(wrong_interrupts(PMU_CYCLE_COUNTER, 0), 0, "and the cycle counter");
  CHECK_EQUAL(wrong_interrupts(0, EVENT_CPU_CYCLES), 0, "and CPU_CYCLES in an event counter");
}

/// In a loop: the N-th branch is the B.NE of round N.
static void check_in_loop(void) {
  unsigned wrong = 0;
  armed = 1;
  for (uint64_t n = 1; n <= 500; ++n) {
    pmu_arm(0, EVENT_BR_PRED, before_overflow(0, n));
    write_sysreg(pmintenset_el1, 1);
    interrupts = 0;
    interrupts_on();
    branch_loop(pmu_switch(), 500);
    interrupts_off();
    const uint64_t expected = (uint64_t)(n == 500 ? branch_loop_end : branch_loop_begin);
    if (interrupts != 1 || interrupted_at != expected) tell(++wrong, n, interrupted_at, expected);
  }
  write_sysreg(pmintenclr_el1, ~0ULL);
  pmu_clear();
  CHECK_EQUAL(wrong, 0, "branches of a loop: behind the N-th, for every N up to 500");
}

/// Far away, with the same instruction whatever was compiled before.
static void check_far(void) {
  unsigned wrong = 0;
  armed = 1;
  for (uint64_t n = 1000; n < 400000; n = n * 9 / 8 + 1) {
    pmu_arm(0, EVENT_INST_RETIRED, before_overflow(0, n));
    write_sysreg(pmintenset_el1, 1);
    interrupts = 0;
    interrupts_on();
    branch_loop(pmu_switch(), 200000);
    interrupts_off();
    // Instruction 1 is the MSR, 2 the first SUBS.
    const uint64_t expected = (uint64_t)branch_loop_begin + (n % 2 == 0 ? 4 : 0);
    if (interrupts != 1 || interrupted_at != expected) tell(++wrong, n, interrupted_at, expected);
  }
  write_sysreg(pmintenclr_el1, ~0ULL);
  pmu_clear();
  CHECK_EQUAL(wrong, 0, "instructions of a long loop");
}

void guest_main(void) {
  pmu_start();
  check_status_bits();
  check_interrupts();
  check_in_loop();
  check_far();
}
