// SPDX-License-Identifier: MIT
//
// A counter armed for N events overflows with the N-th, for every counter and every N: no
// instruction earlier, none later, neither in the status bit nor in the interrupt.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

/// For the first wrong N: what makes it wrong.
static void tell(unsigned wrong, uint64_t n, uint64_t is, uint64_t should_be) {
  if (wrong == 1) print("      (N = %lu: 0x%lx instead of 0x%lx)\n", n, is, should_be);
}

// ---- Without interrupts -------------------------------------------------------------------------

/// Number of N in 1..total + 10 for which the overflow of `event` over measured_block(), of which
/// it counts `total`, is not what it should be.
static unsigned wrong_status(unsigned counter, enum pmu_event event, uint64_t total) {
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= total + 10; ++n) {
    measured_block(pmu_arm(counter, pmu_code(event), EVENTSEL_COUNT, -n & pmu.gp_mask));
    const bool overflowed = (pmu_overflows(1ULL << counter) >> counter & 1) != 0;
    const uint64_t count = rdpmc(counter), expected = (total - n) & pmu.gp_mask;
    if (overflowed != (n <= total) || count != expected) tell(++wrong, n, count, expected);
    pmu_acknowledge(1ULL << counter);
  }
  pmu_clear();
  return wrong;
}

static void check_status_bits(void) {
  for (unsigned i = 0; i < pmu.gp; ++i) {
    CHECK_EQUAL(wrong_status(i, EVENT_INSTRUCTIONS, BLOCK_INSTRUCTIONS), 0,
                "counter %u, instructions: it overflows at N, for every N up to %u", i,
                BLOCK_INSTRUCTIONS);
  }
  for (unsigned e = 1; e < BLOCK_COUNTS; ++e) {
    const enum pmu_event event = block_counts[e].event;
    if (pmu_code(event) == 0) continue;
    CHECK_EQUAL(wrong_status(e % pmu.gp, event, block_counts[e].kernel), 0,
                "counter %u, %s: for every N up to %lu", e % pmu.gp, pmu_event_name(event),
                block_counts[e].kernel);
  }
}

/// An event of which one instruction can add several overflows with the instruction that reaches N.
static void check_status_of_cycles(void) {
  measured_block(pmu_arm(0, pmu_code(EVENT_CYCLES), EVENTSEL_COUNT, 0));
  const uint64_t total = rdpmc(0);
  CHECK_EQUAL(wrong_status(0, EVENT_CYCLES, total), 0, "counter 0, cycles: for every N up to %lu",
              total);
}

static void check_fixed_status_bits(void) {
  for (unsigned k = 0; k < pmu.fixed; ++k) {
    const struct pmu_switch start = pmu_arm_fixed(k, FIXED_OS, 0);
    measured_block(start);
    const uint64_t total = pmu_fixed(k), step = total / 800 + 1;
    unsigned wrong = 0;
    for (uint64_t n = 1; n <= total + 2 * step; n += step) {
      measured_block(pmu_arm_fixed(k, FIXED_OS, -n & pmu.fixed_mask));
      const bool overflowed = pmu_overflows(0) == start.value;
      const uint64_t count = pmu_fixed(k), expected = (total - n) & pmu.fixed_mask;
      if (overflowed != (n <= total) || count != expected) tell(++wrong, n, count, expected);
      pmu_acknowledge(start.value);
    }
    pmu_clear();
    CHECK_EQUAL(wrong, 0, "fixed counter %u: at N, for every %lu. N up to %lu", k, step, total);
  }
}

// ---- With interrupts ----------------------------------------------------------------------------

static volatile unsigned pmis;
static volatile uint64_t pmi_rip, pmi_overflows, armed;
static void on_pmi(struct trap* frame) {
  pmu_disable();
  ++pmis;
  pmi_rip = frame->rip;
  pmi_overflows = pmu_overflows(armed);
  pmu_acknowledge(pmi_overflows);
  if (frame->vector == VECTOR_PMI) apic_eoi();
}

/// Forgets the last PMI, and arms counter i for n events.
static struct pmu_switch arm(unsigned i, enum pmu_event event, uint64_t n, uint32_t lvt) {
  pmis = 0;
  pmi_rip = 0;
  pmi_overflows = 0;
  armed = 1ULL << i;
  apic_write(APIC_LVT_PERFORMANCE, lvt);
  return pmu_arm(i, pmu_code(event), EVENTSEL_COUNT | EVENTSEL_INT, -n & pmu.gp_mask);
}
static struct pmu_switch arm_fixed(unsigned k, uint64_t n, uint32_t lvt) {
  arm(0, EVENT_INSTRUCTIONS, 1, lvt);
  pmu_arm(0, 0, 0, 0);
  return pmu_arm_fixed(k, FIXED_OS | FIXED_PMI, -n & pmu.fixed_mask);
}

static unsigned wrong_interrupts(unsigned counter, bool fixed, uint32_t lvt) {
  unsigned wrong = 0;
  const uint64_t bit = 1ULL << (fixed ? 32 + counter : counter);
  for (uint64_t n = 1; n <= SLED_LENGTH; ++n) {
    sled(fixed ? arm_fixed(counter, n, lvt) : arm(counter, EVENT_INSTRUCTIONS, n, lvt));
    // Instruction 1 is the WRMSR, so behind instruction n there are n - 1 NOPs behind us.
    const uint64_t expected = (uint64_t)sled_begin + n - 1;
    if (pmis != 1 || pmi_rip != expected || pmi_overflows != bit)
      tell(++wrong, n, pmi_rip, expected);
  }
  pmu_clear();
  return wrong;
}

static void check_interrupts(void) {
  sti();
  for (unsigned i = 0; i < pmu.gp; ++i) {
    CHECK_EQUAL(wrong_interrupts(i, false, VECTOR_PMI), 0,
                "counter %u: the interrupt comes right behind instruction N, for every N up to %u",
                i, SLED_LENGTH);
  }
  if (pmu.fixed != 0) {
    CHECK_EQUAL(wrong_interrupts(0, true, VECTOR_PMI), 0, "fixed counter 0: likewise");
  }
  cli();
  CHECK_EQUAL(wrong_interrupts(0, false, LVT_NMI), 0, "so does the NMI, with interrupts off");
}

static void check_interrupted_cycles(void) {
  // A NOP takes one cycle; so a cycle after the first NOP is a NOP after the first.
  sti();
  for (unsigned k = 1; k < (pmu.fixed < 2 ? 0 : 2); ++k) {
    sled(arm_fixed(k, 1, VECTOR_PMI));
    CHECK(pmis == 1 && pmi_rip == (uint64_t)sled_begin, "fixed counter %u: at its first", k);
  }
  arm(0, EVENT_CYCLES, 1, VECTOR_PMI);
  pmu_clear();
  sled(pmu_arm(0, pmu_code(EVENT_CYCLES), EVENTSEL_COUNT, 0));
  const uint64_t total = rdpmc(0), first = total - SLED_LENGTH - 2;  // of the WRMSR; two XORs
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= SLED_LENGTH; ++n) {
    sled(arm(0, EVENT_CYCLES, first + n, VECTOR_PMI));
    const uint64_t expected = (uint64_t)sled_begin + n;
    if (pmis != 1 || pmi_rip != expected) tell(++wrong, n, pmi_rip, expected);
  }
  cli();
  pmu_clear();
  CHECK_EQUAL(wrong, 0, "cycles: it comes behind cycle N, for every N up to %u", SLED_LENGTH);
}

static void check_interrupted_loops(void) {
  sti();
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= 300; ++n) {
    // Instructions 2, 4, ... are the DEC of 3 bytes, 3, 5, ... the JNZ.
    branch_loop(arm(0, EVENT_INSTRUCTIONS, n, VECTOR_PMI), 200);
    const bool at_dec = n % 2 == 1;
    const uint64_t expected = (uint64_t)branch_loop_begin + (at_dec ? 0 : 3);
    if (pmis != 1 || pmi_rip != expected) tell(++wrong, n, pmi_rip, expected);
  }
  CHECK_EQUAL(wrong, 0,
              "in a loop of two instructions it hits the right one, for every N up to 300");
  wrong = 0;
  for (uint64_t n = 1; n <= 200; ++n) {
    branch_loop(arm(pmu.gp - 1, EVENT_BRANCHES, n, VECTOR_PMI), 200);
    const uint64_t expected = (uint64_t)(n < 200 ? branch_loop_begin : branch_loop_end);
    if (pmis != 1 || pmi_rip != expected) tell(++wrong, n, pmi_rip, expected);
  }
  cli();
  CHECK_EQUAL(wrong, 0, "branches: it comes behind branch N, for every N up to 200");
}

void guest_main(void) {
  pmu_start();
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  set_handler(VECTOR_NMI, on_pmi);
  check_status_bits();
  check_status_of_cycles();
  check_fixed_status_bits();
  check_interrupts();
  check_interrupted_cycles();
  check_interrupted_loops();
}
