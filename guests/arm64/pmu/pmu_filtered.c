// SPDX-License-Identifier: MIT
//
// Counters of a guest that has an event filter: what it denies keeps its value, and PMCEID leaves
// it out; the rest counts as ever.
//   events=a,b,...   what the filter names, in hexadecimal
//   allow=1          it allows those and denies all others; otherwise it denies those
// Ends with the first event that is denied still on counter 0.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"

enum { ARMED_WITH = 5 };

static bool is_named(unsigned event) {
  const char* at = option_text("events");
  while (at != 0 && *at != 0 && *at != ' ') {
    if (parse_hexadecimal(&at) == event) return true;
    if (*at == ',') ++at;
  }
  return false;
}
static bool is_admitted(unsigned event) {
  return is_named(event) == (option_number("allow", 0) != 0);
}

static uint64_t counted(unsigned counter, uint64_t type) {
  pmu_clear();
  pmu_arm(counter, type, ARMED_WITH);
  measured_block(pmu_switch());
  return pmu_read(counter) - ARMED_WITH;
}

static void check_event(unsigned event, const char* name, uint64_t count) {
  const bool admitted = is_admitted(event);
  if (admitted && !pmu_has(event)) return;  // not on this model
  CHECK_EQUAL(counted(0, event), admitted ? count : 0, "%s %s", name,
              admitted ? "counts" : "stands still");
  if (admitted) return;
  CHECK(!pmu_has(event), "and PMCEID does not have %s", name);
  pmu_clear();
  pmu_arm(0, event, 0xffffffff);
  measured_block(pmu_switch());
  CHECK(read_sysreg(pmovsclr_el0) == 0, "nor does it overflow");
}

static void check_own_events(void) {
  pmu_clear();
  pmu_arm(0, EVENT_SW_INCR, 0);
  pmu_enable();
  write_sysreg(pmswinc_el0, 1);
  pmu_disable();
  CHECK_EQUAL(pmu_read(0), 1, "SW_INCR counts whatever a filter says");
}

static void leave_on(void) {
  for (unsigned i = 0; i < BLOCK_COUNTS; ++i) {
    if (is_admitted(block_counts[i].event)) continue;
    pmu_clear();
    pmu_arm(0, block_counts[i].event, 0);
    pmu_arm(1, EVENT_INST_RETIRED, 0);
    pmu_enable();
    return;
  }
}

void guest_main(void) {
  pmu_start();
  for (unsigned i = 0; i < BLOCK_COUNTS; ++i) {
    check_event(block_counts[i].event, block_counts[i].name, block_counts[i].count);
  }
  const bool cycles = is_admitted(EVENT_CPU_CYCLES);
  CHECK_EQUAL(counted(PMU_CYCLE_COUNTER, 0), cycles ? BLOCK_INSTRUCTIONS : 0,
              "the cycle counter is event CPU_CYCLES, which %s", cycles ? "counts" : "is denied");
  check_own_events();
  leave_on();
}
