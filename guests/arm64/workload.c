// SPDX-License-Identifier: MIT
//
// The workload that speed is measured with. Command line:
//   rounds=N   20 is what the published numbers use
//   pmu=off    leaves the PMU alone
//   pmi=N      an overflow interrupt every N instructions
//   spe=N         statistical profiling of one operation in N, into a buffer of 64 KiB
//   events=a,b,...   what the counters count, hexadecimal; otherwise what costs no slower mode:
//                    instructions, cycles, exceptions taken and returned from
// The counters are armed to overflow far away.
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/pmu.h"
#include "runtime/spe.h"
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

static uint8_t spe_buffer[64 * 1024] __attribute__((aligned(4096)));
static volatile uint64_t spe_buffers;

/// The buffer is full: from its beginning on again.
static void on_spe_buffer(unsigned intid) {
  (void)intid;
  ++spe_buffers;
  write_spe(PMBPTR_EL1, spe_buffer);
  write_spe(PMBSR_EL1, 0);
}

static void start_spe(uint64_t interval) {
  gic_start();
  set_interrupt_handler(INTID_SPE, on_spe_buffer);
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  interrupts_on();
  const uint64_t begin = (uint64_t)spe_buffer;
  spe_start(begin, begin + sizeof spe_buffer, interval | 1, PMSCR_E0SPE | PMSCR_E1SPE | PMSCR_TS);
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

  const uint64_t interval = option_number("spe", 0);
  if (count) start_counters();
  if (interval != 0) start_spe(interval);
  const uint64_t checksum = workload(keys, rounds);
  if (count) {
    pmu_disable();
    interrupts_off();
    report();
  }
  if (interval != 0) {
    spe_stop();
    interrupts_off();
    print("buffers %lu\n", spe_buffers);
  }
  print("checksum %016lx\n", checksum);
  guest_exit(0);
}
