// SPDX-License-Identifier: MIT
//
// The workload that speed is measured with. Command line:
//   rounds=N   20 is what the published numbers use
//   pmu=off    leaves the PMU alone
//   pmi=N      an overflow interrupt every N instructions
//   events=a,b,...   what the counters count, hexadecimal; otherwise what costs no slower mode:
//                    instructions, cycles, exceptions taken and returned from
// The counters are armed to overflow far away.
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "workload_core.h"

enum { MOST_EVENTS = 31 };

static uint32_t keys[WORKLOAD_KEYS];
static uint64_t period;
static volatile uint64_t interrupts;
static uint16_t events[MOST_EVENTS] = {EVENT_INST_RETIRED, EVENT_CPU_CYCLES, EVENT_EXC_TAKEN,
                                       EVENT_EXC_RETURN};
static unsigned counters = 4;

static uint64_t mask(void) {
  return pmu.wide ? ~0ULL : 0xffffffff;
}
/// What a counter is armed with: half its width from its overflow.
static uint64_t far(void) {
  return period == 0 ? 0 : mask() / 2 + 1;
}
static uint64_t reload(void) {
  return -period & mask();
}

/// Counter 0 is counted down from its period again; the others run on.
static void on_overflow(unsigned intid) {
  (void)intid;
  ++interrupts;
  write_sysreg(pmevcntr0_el0, reload());
  write_sysreg(pmovsclr_el0, 1);
}

static void take_events(void) {
  const char* at = option_text("events");
  if (at == 0) return;
  for (counters = 0; counters < MOST_EVENTS;) {
    events[counters++] = (uint16_t)parse_hexadecimal(&at);
    if (*at != ',') break;
    ++at;
  }
}

static void start_counters(void) {
  pmu_clear();
  if (pmu.wide) pmu.pmcr |= PMCR_LP;
  for (unsigned i = 0; i < counters; ++i) pmu_arm(i, events[i], far());
  gic_start();
  if (period != 0) {
    set_interrupt_handler(INTID_PMU, on_overflow);
    gic_enable(INTID_PMU, PRIORITY_DEFAULT);
    pmu_write(0, reload());
    write_sysreg(pmintenset_el1, 1);
  }
  interrupts_on();
  pmu_enable();
}

static void report(void) {
  for (unsigned i = 0; i < counters; ++i) {
    if (i == 0 && period != 0) continue;  // is set back all the time
    print("event 0x%02x %lu\n", events[i], (pmu_read(i) - far()) & mask());
  }
  if (period != 0) print("interrupts %lu\n", interrupts);
}

void guest_main(void) {
  const uint64_t rounds = option_number("rounds", WORKLOAD_ROUNDS);
  period = option_number("pmi", 0);
  take_events();
  const bool count = !option_flag("pmu=off");
  if (count && (!pmu_probe() || pmu.counters < counters)) {
    panic("this machine has too few counters; say pmu=off");
  }

  if (count) start_counters();
  const uint64_t checksum = workload(keys, rounds);
  if (count) {
    pmu_disable();
    interrupts_off();
    report();
  }
  print("checksum %016lx\n", checksum);
  guest_exit(0);
}
