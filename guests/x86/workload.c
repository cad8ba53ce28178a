// SPDX-License-Identifier: MIT
//
// The workload that speed is measured with. Command line:
//   rounds=N   20 is what the published numbers use
//   pmu=off    leaves the PMU alone
//   pmi=N      an overflow interrupt every N instructions
//   mispredicts=off   the fourth counter counts loads: mispredictions take a predictor to know
//   counters=all      every counter counts, eight general-purpose and all fixed ones
// Otherwise four counters count, armed to overflow far away.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"
#include "workload_core.h"

enum { VECTOR_PMI = 0x60, COUNTERS = 4, ALL_COUNTERS = 8 };

static uint32_t keys[WORKLOAD_KEYS];
static uint64_t period, reload;
static volatile uint64_t interrupts;

static uint32_t events[ALL_COUNTERS] = {
    EVENT_INSTRUCTIONS,   EVENT_CYCLES, EVENT_BRANCHES,         EVENT_MISPREDICTS,
    EVENT_TAKEN_BRANCHES, EVENT_STORES, EVENT_REFERENCE_CYCLES, EVENT_CONDITIONAL_BRANCHES};
static const char* names[ALL_COUNTERS] = {
    "instructions",   "cycles", "branches",         "mispredicts",
    "taken branches", "stores", "reference cycles", "conditional branches"};
static unsigned counters = COUNTERS;

/// Counter 0 is counted down from its period again; the others run on.
static void on_pmi(struct trap* frame) {
  (void)frame;
  ++interrupts;
  wrmsr(MSR_A_PMC0, reload);
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static void start_counters(const struct pmu* pmu) {
  pmu_clear(pmu);
  const uint64_t far = (pmu->gp_mask >> 1) + 1;
  for (unsigned i = 0; i < counters; ++i) {
    pmu_program(i, events[i], EVENTSEL_COUNT | EVENTSEL_INT, far);
  }
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  if (period != 0) {
    reload = -period & pmu->gp_mask;
    wrmsr(MSR_A_PMC0, reload);
  }
  sti();
  uint64_t enable = (1 << counters) - 1;
  if (counters == ALL_COUNTERS) {
    for (unsigned k = 0; k < pmu->fixed; ++k) {
      wrmsr(MSR_FIXED_CTR0 + k, far);
      wrmsr(MSR_FIXED_CTR_CTRL,
            rdmsr(MSR_FIXED_CTR_CTRL) | (uint64_t)(FIXED_OS | FIXED_USR | FIXED_PMI) << 4 * k);
      enable |= 1ULL << (32 + k);
    }
  }
  wrmsr(MSR_PERF_GLOBAL_CTRL, enable);
}

static void report(const struct pmu* pmu) {
  const uint64_t far = (pmu->gp_mask >> 1) + 1;
  for (unsigned i = 0; i < counters; ++i) {
    if (i == 0 && period != 0) continue;  // is set back all the time
    print("%s %lu\n", names[i], (rdpmc(i) - far) & pmu->gp_mask);
  }
  if (period != 0) print("interrupts %lu\n", interrupts);
}

void guest_main(void) {
  const uint64_t rounds = option_number("rounds", WORKLOAD_ROUNDS);
  period = option_number("pmi", 0);
  if (option_flag("mispredicts=off")) {
    events[3] = EVENT_LOADS;
    names[3] = "loads";
  }
  if (option_flag("counters=all")) counters = ALL_COUNTERS;
  const struct pmu pmu = pmu_probe();
  const bool count = !option_flag("pmu=off");
  if (count && pmu.gp < counters) panic("this machine has no PMU; say pmu=off");

  if (count) start_counters(&pmu);
  const uint64_t checksum = workload(keys, rounds);
  if (count) {
    wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
    cli();
    report(&pmu);
  }
  print("checksum %016lx\n", checksum);
  guest_exit(0);
}
