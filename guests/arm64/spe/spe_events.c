// SPDX-License-Identifier: MIT
//
// SAMPLE_POP, SAMPLE_FEED, SAMPLE_FILTRATE and SAMPLE_COLLISION of pieces of code of which every
// operation is known, and overflows at exactly the right one.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { SAMPLE_POP = 0x4000, SAMPLE_FEED, SAMPLE_FILTRATE, SAMPLE_COLLISION, EVENTS = 4 };
enum { INTERVAL = 256, ROUNDS = 4000, NOPS = 1000, BUFFER_BYTES = 64 * 1024 };

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(4096)));
static uint64_t words[2];

/// Each writes `on` to PMSCR_EL1 and 0 behind the code between: that is all that is profiled.
/// A loop of five operations, the first of which loads.
void events_loop(uint64_t on, uint64_t rounds, uint64_t* data);
/// NOPS NOPs, from events_sled_begin on.
void events_sled(uint64_t on);
/// The load is operation 1, the MSR that makes the unit count down from two is 2, the NOPs 3 and 4.
void events_collide(uint64_t on, uint64_t two, uint64_t* data);
extern const char events_sled_begin[];
__asm__(
    ".text\n"
    "events_loop:\nmsr s3_0_c9_c9_0, x0\n"
    "1: ldr x3, [x2]\nstr x3, [x2, #8]\nadd x4, x4, #1\nsubs x1, x1, #1\nb.ne 1b\n"
    "msr s3_0_c9_c9_0, xzr\nret\n"
    "events_sled:\nmsr s3_0_c9_c9_0, x0\n"
    "events_sled_begin:\n.rept 1000\nnop\n.endr\nmsr s3_0_c9_c9_0, xzr\nret\n"
    "events_collide:\nmsr s3_0_c9_c9_0, x0\n"
    "ldr x3, [x2]\nmsr s3_0_c9_c9_2, x1\nnop\nnop\n"
    "msr s3_0_c9_c9_0, xzr\nret\n");

/// All but PMSCR_EL1. `count`: PMSICR_EL1.
static void spe_prepare(uint64_t bytes, uint64_t count) {
  spe_start((uint64_t)buffer, (uint64_t)buffer + bytes, INTERVAL, 0);
  write_spe(PMSICR_EL1, count);
  isb();
}

/// Counters 0 to 3 count the four events from 0 on, at the levels that `filter` leaves.
static void count_samples(uint64_t filter) {
  pmu_clear();
  for (unsigned i = 0; i < EVENTS; ++i) pmu_arm(i, (SAMPLE_POP + i) | filter, 0);
  pmu_enable();
}

static void check_counts(const char* what, const uint64_t expected[EVENTS]) {
  static const char* const kNames[EVENTS] = {"SAMPLE_POP", "SAMPLE_FEED", "SAMPLE_FILTRATE",
                                             "SAMPLE_COLLISION"};
  for (unsigned i = 0; i < EVENTS; ++i) {
    CHECK_EQUAL(pmu_read(i), expected[i], "%s of %s", kNames[i], what);
  }
  pmu_clear();
}

static void check_population(void) {
  const uint64_t operations = 5 * ROUNDS, samples = operations / (INTERVAL + 1);
  count_samples(0);
  spe_prepare(BUFFER_BYTES, 0);
  events_loop(PMSCR_E1SPE, ROUNDS, words);
  pmu_disable();
  check_counts("a loop", (uint64_t[]){operations, samples, samples, 0});

  // Every so many is a load, the first of each round.
  uint64_t loads = 0;
  for (uint64_t n = INTERVAL + 1; n <= operations; n += INTERVAL + 1) loads += n % 5 == 1;
  write_spe(PMSFCR_EL1, PMSFCR_FT | PMSFCR_LD);
  count_samples(0);
  spe_prepare(BUFFER_BYTES, 0);
  events_loop(PMSCR_E1SPE, ROUNDS, words);
  pmu_disable();
  write_spe(PMSFCR_EL1, 0);
  check_counts("its loads", (uint64_t[]){operations, samples, loads, 0});

  count_samples(PMEVTYPER_P);
  spe_prepare(BUFFER_BYTES, 0);
  events_loop(PMSCR_E1SPE, ROUNDS, words);
  pmu_disable();
  check_counts("EL0 while EL1 is profiled", (uint64_t[]){0, 0, 0, 0});
  spe_stop();
}

static void check_levels(void) {
  enum { OPERATIONS = 2 * ROUNDS + 1, SAMPLES = OPERATIONS / (INTERVAL + 1) };
  count_samples(PMEVTYPER_P);
  spe_prepare(BUFFER_BYTES, 0);
  write_spe(PMSCR_EL1, PMSCR_E0SPE);
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
  pmu_disable();
  spe_stop();
  check_counts("EL0", (uint64_t[]){OPERATIONS, SAMPLES, SAMPLES, 0});
}

/// A full buffer ends the population, too.
static void check_full(void) {
  enum { RECORDS = 4096 / SPE_RECORD_BYTES, OPERATIONS = RECORDS * (INTERVAL + 1) };
  count_samples(0);
  spe_prepare(4096, 0);
  events_loop(PMSCR_E1SPE, OPERATIONS, words);
  pmu_disable();
  spe_stop();
  write_spe(PMBSR_EL1, 0);
  check_counts("a buffer that fills up", (uint64_t[]){OPERATIONS, RECORDS, RECORDS, 0});
}

static void check_collisions(void) {
  enum { TIMES = 10 };
  count_samples(0);
  for (unsigned i = 0; i < TIMES; ++i) {
    spe_prepare(BUFFER_BYTES, 1);
    events_collide(PMSCR_E1SPE, 2, words);
    if ((read_spe(PMBSR_EL1) & PMBSR_COLL) == 0) pmu_write(SAMPLE_COLLISION - SAMPLE_POP, 0);
  }
  pmu_disable();
  spe_stop();
  write_spe(PMBSR_EL1, 0);
  check_counts("collisions", (uint64_t[]){4 * TIMES, TIMES, TIMES, TIMES});
}

static volatile unsigned interrupts;
static volatile uint64_t interrupted_at;

static void on_overflow(unsigned intid) {
  (void)intid;
  ++interrupts;
  interrupted_at = interrupted()->elr;
  write_sysreg(pmcntenclr_el0, ~0ULL);
  write_sysreg(pmovsclr_el0, ~0ULL);
}

/// Where `event` interrupts the sled with its `n`-th, in operations from its beginning; 0: nowhere.
static uint64_t interrupts_behind(unsigned event, uint64_t n) {
  pmu_clear();
  write_sysreg(pmintenset_el1, 1);
  pmu_arm(0, event, -n & 0xffffffff);
  spe_prepare(BUFFER_BYTES, 0);
  interrupts = 0;
  interrupts_on();
  pmu_enable();
  events_sled(PMSCR_E1SPE);
  interrupts_off();
  pmu_disable();
  spe_stop();
  if (interrupts != 1) return 0;
  return (interrupted_at - (uint64_t)events_sled_begin) / 4;
}

static void check_overflows(void) {
  set_interrupt_handler(INTID_PMU, on_overflow);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  unsigned wrong = 0;
  for (uint64_t n = 1; n <= NOPS; ++n) wrong += interrupts_behind(SAMPLE_POP, n) != n;
  CHECK_EQUAL(wrong, 0, "SAMPLE_POP overflows at N, for every N up to %u", NOPS);
  CHECK_EQUAL(interrupts_behind(SAMPLE_POP, NOPS + 1), 0, "and not before it");
  for (uint64_t n = 1; n <= NOPS / (INTERVAL + 1); ++n) {
    CHECK_EQUAL(interrupts_behind(SAMPLE_FEED, n), n * (INTERVAL + 1), "SAMPLE_FEED at sample %lu",
                n);
    CHECK_EQUAL(interrupts_behind(SAMPLE_FILTRATE, n), n * (INTERVAL + 1), "SAMPLE_FILTRATE, too");
  }
}

void guest_main(void) {
  pmu_start();
  const uint64_t has = pmu.pmceid[0] >> 32 & 0xf;
  if (option_number("spe", 1) == 0) {
    CHECK_EQUAL(has, 0, "without SPE, PMCEID0_EL0 has none of its events");
    pmu_arm(0, SAMPLE_POP, 0);
    pmu_enable();
    pmu_disable();
    CHECK_EQUAL(pmu_read(0), 0, "and they stand still");
    return;
  }
  CHECK_EQUAL(has, 0xf, "PMCEID0_EL0 has the events of SPE");
  gic_start();
  check_population();
  check_levels();
  check_full();
  check_collisions();
  check_overflows();
}
