// SPDX-License-Identifier: MIT
//
// A counter armed for N events overflows with the N-th, for every N: no instruction earlier, none
// later, neither in the status bit nor in the interrupt.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static struct pmu pmu;

/// For the first wrong N: what makes it wrong.
static void tell(unsigned wrong, uint64_t n, uint64_t is, uint64_t should_be) {
  if (wrong == 1) print("      (N = %lu: 0x%lx instead of 0x%lx)\n", n, is, should_be);
}

/// Number of N in 1..limit for which the overflow of `event` over measured_block(), of which it
/// counts `total`, is not what it should be.
static unsigned wrong_status(unsigned counter, uint32_t event, uint64_t total, uint64_t limit) {
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= limit; ++n) {
    pmu_program(counter, event, EVENTSEL_COUNT, -n & pmu.gp_mask);
    measured_block(1ULL << counter);
    const bool overflowed = (rdmsr(MSR_PERF_GLOBAL_STATUS) >> counter & 1) != 0;
    const uint64_t count = rdpmc(counter), expected = (total - n) & pmu.gp_mask;
    if (overflowed != (n <= total) || count != expected) tell(++wrong, n, count, expected);
    wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << counter);
  }
  pmu_clear(&pmu);
  return wrong;
}

static void check_status_bits(void) {
  CHECK_EQUAL(wrong_status(0, EVENT_INSTRUCTIONS, BLOCK_INSTRUCTIONS, BLOCK_INSTRUCTIONS + 10), 0,
              "instructions: the status bit is right for every N up to %u",
              BLOCK_INSTRUCTIONS + 10);
  CHECK_EQUAL(wrong_status(1, EVENT_BRANCHES, BLOCK_BRANCHES, BLOCK_BRANCHES + 10), 0,
              "branches: for every N up to %u", BLOCK_BRANCHES + 10);
  CHECK_EQUAL(
      wrong_status(2, EVENT_CONDITIONAL_BRANCHES, BLOCK_CONDITIONAL, BLOCK_CONDITIONAL + 10), 0,
      "conditional branches: for every N up to %u", BLOCK_CONDITIONAL + 10);
  CHECK_EQUAL(wrong_status(3, EVENT_LOADS, BLOCK_LOADS, BLOCK_LOADS + 10), 0,
              "loads: for every N up to %u", BLOCK_LOADS + 10);

  unsigned wrong = 0;
  for (uint64_t n = 1; n <= BLOCK_INSTRUCTIONS + 10; n += 7) {
    wrmsr(MSR_FIXED_CTR0, -n & pmu.fixed_mask);
    wrmsr(MSR_FIXED_CTR_CTRL, FIXED_OS);
    measured_block(1ULL << 32);
    const bool overflowed = (rdmsr(MSR_PERF_GLOBAL_STATUS) >> 32 & 1) != 0;
    wrong += overflowed != (n <= BLOCK_INSTRUCTIONS);
    wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << 32);
  }
  pmu_clear(&pmu);
  CHECK_EQUAL(wrong, 0, "fixed counter 0: for every seventh N");
}

static volatile unsigned pmis;
static volatile uint64_t pmi_rip, pmi_status;
static void on_pmi(struct trap* frame) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  ++pmis;
  pmi_rip = frame->rip;
  pmi_status = rdmsr(MSR_PERF_GLOBAL_STATUS);
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, pmi_status);
  if (frame->vector == VECTOR_PMI) apic_eoi();
}

/// Arms counter 0 for n events, and PMIs.
static void arm(uint32_t event, uint64_t n, uint32_t lvt) {
  pmis = 0;
  pmi_rip = 0;
  pmi_status = 0;
  apic_write(APIC_LVT_PERFORMANCE, lvt);
  pmu_program(0, event, EVENTSEL_COUNT | EVENTSEL_INT, -n & pmu.gp_mask);
}

static unsigned wrong_interrupts(uint32_t lvt) {
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= SLED_LENGTH; ++n) {
    arm(EVENT_INSTRUCTIONS, n, lvt);
    sled(1);
    // Instruction 1 is the WRMSR, so behind instruction n there are n - 1 NOPs behind us.
    const uint64_t expected = (uint64_t)sled_begin + n - 1;
    if (pmis != 1 || pmi_rip != expected || pmi_status != 1) tell(++wrong, n, pmi_rip, expected);
  }
  return wrong;
}

static void check_interrupts(void) {
  set_handler(VECTOR_PMI, on_pmi);
  set_handler(VECTOR_NMI, on_pmi);
  sti();
  CHECK_EQUAL(wrong_interrupts(VECTOR_PMI), 0,
              "the interrupt comes right behind instruction N, for every N up to %u", SLED_LENGTH);
  cli();
  CHECK_EQUAL(wrong_interrupts(LVT_NMI), 0, "so does the NMI, with interrupts off");

  sti();
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= 300; ++n) {
    arm(EVENT_INSTRUCTIONS, n, VECTOR_PMI);
    branch_loop(1, 200);  // instructions 2, 4, ... are the DEC of 3 bytes, 3, 5, ... the JNZ
    const bool at_dec = n % 2 == 1;
    const uint64_t expected = (uint64_t)branch_loop_begin + (at_dec ? 0 : 3);
    if (pmis != 1 || pmi_rip != expected) tell(++wrong, n, pmi_rip, expected);
  }
  CHECK_EQUAL(wrong, 0,
              "in a loop of two instructions it hits the right one, for every N up to 300");
  wrong = 0;
  for (uint64_t n = 1; n <= 200; ++n) {
    arm(EVENT_CONDITIONAL_BRANCHES, n, VECTOR_PMI);
    branch_loop(1, 200);
    const uint64_t expected = (uint64_t)(n < 200 ? branch_loop_begin : branch_loop_end);
    if (pmis != 1 || pmi_rip != expected) tell(++wrong, n, pmi_rip, expected);
  }
  cli();
  CHECK_EQUAL(wrong, 0, "conditional branches: it comes behind branch N, for every N up to 200");
}

void guest_main(void) {
  pmu = pmu_probe();
  CHECK(pmu.version >= 2, "there is a PMU of version %u", pmu.version);
  pmu_clear(&pmu);
  apic_start();
  check_status_bits();
  check_interrupts();
}
