// SPDX-License-Identifier: MIT
//
// Every CPU has a unit of its own (--smp 1 to 8): all profile at the same time, each into its own
// buffer, with its own interval and its own interrupt. Nobody finds a record of another's.
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/smp.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { ROUNDS = 50 * 1000, PAGE_RECORDS = 4096 / SPE_RECORD_BYTES };

/// A load, a store, an addition, SUBS and B.NE.
void spe_loop(uint64_t rounds, uint64_t* data);
__asm__(
    ".text\n.global spe_loop\nspe_loop:\n"
    "1: ldr x2, [x1]\nstr x2, [x1, #8]\nadd x3, x3, #1\nsubs x0, x0, #1\nb.ne 1b\nret\n");

static unsigned cpus;
/// CONTEXTIDR_EL1 of CPU 0; the others follow.
static uint32_t first_context;
static uint8_t buffers[MAX_CPUS][4096] __attribute__((aligned(4096)));
static uint64_t words[MAX_CPUS][8];
static struct {
  unsigned interrupts, records, torn, foreign, accesses;
  uint64_t last_time;
  bool descends;
} seen[MAX_CPUS];

static unsigned interval_of(unsigned cpu) {
  return 256 * (cpu + 1);
}

static void take_records(unsigned cpu) {
  const uint8_t* const end = (const uint8_t*)read_spe(PMBPTR_EL1);
  for (const uint8_t* at = buffers[cpu]; at < end; at += SPE_RECORD_BYTES) {
    struct spe_record record;
    const uint8_t* const behind = spe_parse(at, at + SPE_RECORD_BYTES, &record);
    if (behind != at + SPE_RECORD_BYTES) {
      ++seen[cpu].torn;
      return;
    }
    ++seen[cpu].records;
    if (record.context != first_context + cpu) ++seen[cpu].foreign;
    if (record.timestamp < seen[cpu].last_time) seen[cpu].descends = true;
    seen[cpu].last_time = record.timestamp;
    const uint64_t begin = (uint64_t)words[0], address = record.address;
    if (address < begin || address >= begin + sizeof words) continue;
    ++seen[cpu].accesses;
    if ((address - begin) / sizeof words[0] != cpu) ++seen[cpu].foreign;
  }
}

static void on_buffer(unsigned intid) {
  (void)intid;
  const unsigned cpu = current_cpu();
  ++seen[cpu].interrupts;
  take_records(cpu);
  write_spe(PMBPTR_EL1, (uint64_t)buffers[cpu]);
  isb();
  write_spe(PMBSR_EL1, 0);
  isb();
}

static void profile(void* unused) {
  (void)unused;
  const unsigned cpu = current_cpu();
  const uint64_t base = (uint64_t)buffers[cpu];
  write_sysreg(contextidr_el1, first_context + cpu);
  isb();
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  interrupts_on();
  spe_start(base, base + 4096, interval_of(cpu), PMSCR_E1SPE | PMSCR_TS | PMSCR_CX);
  spe_loop(ROUNDS, words[cpu]);
  spe_stop();
  interrupts_off();
  gic_disable(INTID_SPE);
  take_records(cpu);
}

void guest_main(void) {
  const unsigned expected = (unsigned)option_number("cpus", smp_cpus());
  first_context = (uint32_t)option_number("context", 0x5e0000);
  cpus = smp_start();
  CHECK_EQUAL(cpus, expected, "%u CPUs run", cpus);
  set_interrupt_handler(INTID_SPE, on_buffer);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, profile, 0);
  profile(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);

  enum { WAY_BACK = 300 };
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    const unsigned interval = interval_of(cpu) + 1;
    const unsigned least = 5 * ROUNDS / interval;
    const unsigned most = (5 * ROUNDS + (seen[cpu].interrupts + 1) * WAY_BACK) / interval;
    CHECK(seen[cpu].records >= least && seen[cpu].records <= most,
          "CPU %u has as many records as it must", cpu);
    CHECK_EQUAL(seen[cpu].interrupts, seen[cpu].records / PAGE_RECORDS,
                "CPU %u interrupts when its buffer is full", cpu);
    CHECK_EQUAL(seen[cpu].torn, 0, "CPU %u has whole records", cpu);
    CHECK_EQUAL(seen[cpu].foreign, 0, "CPU %u has only its own", cpu);
    CHECK(seen[cpu].accesses > least / 4, "CPU %u has accesses of its own", cpu);
    CHECK(!seen[cpu].descends, "CPU %u has records in order", cpu);
  }
}
