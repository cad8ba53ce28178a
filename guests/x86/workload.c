// SPDX-License-Identifier: MIT
//
// The workload that speed is measured with. Command line:
//   rounds=N   20 is what the published numbers use
//   pmu=off    leaves the PMU alone
//   pmi=N      an overflow interrupt every N instructions
//   mispredicts=off   the fourth counter counts loads: mispredictions take a predictor to know
//   llc=on            it counts last-level cache misses, of a model that sees every access
//   conditions=on     ... or cycles in which no instruction retires: instructions run one at a time
//   counters=all      every counter counts, up to eight general-purpose and all fixed ones
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

static enum pmu_event events[ALL_COUNTERS] = {
    EVENT_INSTRUCTIONS,   EVENT_CYCLES, EVENT_BRANCHES,         EVENT_MISPREDICTS,
    EVENT_TAKEN_BRANCHES, EVENT_STORES, EVENT_REFERENCE_CYCLES, EVENT_CONDITIONAL_BRANCHES};
static const char* names[ALL_COUNTERS] = {
    "instructions",   "cycles", "branches",         "mispredicts",
    "taken branches", "stores", "reference cycles", "conditional branches"};
static unsigned counters = COUNTERS;
static uint64_t condition;  // of counter 3: bits of its event select

/// Counter 0 is counted down from its period again; the others run on.
static void on_pmi(struct trap* frame) {
  (void)frame;
  ++interrupts;
  pmu_write(0, reload);
  pmu_acknowledge(1);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

/// What a counter is armed with: as far from its overflow as it can be written.
static uint64_t far(void) {
  return pmu.full_width ? (pmu.gp_mask >> 1) + 1 : -(1ULL << 31) & pmu.gp_mask;
}

static void start_counters(void) {
  pmu_clear();
  for (unsigned i = 0; i < counters; ++i) {
    pmu_arm(i, pmu_code(events[i]), EVENTSEL_COUNT | EVENTSEL_INT | (i == 3 ? condition : 0),
            far());
  }
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  if (period != 0) {
    reload = -period & pmu.gp_mask;
    pmu_write(0, reload);
  }
  sti();
  uint64_t enable = (1 << counters) - 1;
  for (unsigned k = 0; counters > COUNTERS && k < pmu.fixed; ++k) {
    enable |= pmu_arm_fixed(k, FIXED_OS | FIXED_USR | FIXED_PMI, far()).value;
  }
  pmu_enable(enable);
}

static void report(void) {
  for (unsigned i = 0; i < counters; ++i) {
    if (i == 0 && period != 0) continue;  // is set back all the time
    print("%s %lu\n", names[i], (rdpmc(i) - far()) & pmu.gp_mask);
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
  if (option_flag("llc=on")) {
    events[3] = EVENT_LLC_MISSES;
    names[3] = "LLC misses";
  }
  if (option_flag("conditions=on")) {
    events[3] = EVENT_INSTRUCTIONS;
    names[3] = "cycles without an instruction";
    condition = EVENTSEL_INV | EVENTSEL_CMASK(1);
  }
  const bool count = !option_flag("pmu=off");
  if (count && (!pmu_probe() || pmu.gp < COUNTERS)) panic("this machine has no PMU; say pmu=off");
  if (option_flag("counters=all")) counters = pmu.gp < ALL_COUNTERS ? pmu.gp : ALL_COUNTERS;

  if (count) start_counters();
  const uint64_t checksum = workload(keys, rounds);
  if (count) {
    pmu_disable();
    cli();
    report();
  }
  print("checksum %016lx\n", checksum);
  guest_exit(0);
}
