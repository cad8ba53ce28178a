// SPDX-License-Identifier: MIT
//
// A guest that measures itself. It sorts, hashes and branches; four event counters run from its
// first instructions to its last and are read around each piece of work; a fifth overflows every
// SAMPLE_PERIOD instructions, and its interrupt notes which piece it interrupted. The last four
// lines are the counters' values at the very end of the run: the same numbers that the machine
// reports as retired.
#include "demo_pieces.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/layout.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

enum {
  SAMPLER = 4,
  PROLOGUE_INSTRUCTIONS = 11,  // demo_entry.S: before the MSR that starts the counters
  LINE_BYTES = 41,
};

static void on_overflow(unsigned intid) {
  (void)intid;
  sample_piece(interrupted()->elr);
  pmu_write(SAMPLER, -(uint64_t)SAMPLE_PERIOD & 0xffffffff);
  write_sysreg(pmovsclr_el0, 1 << SAMPLER);
}

static void start_sampling(void) {
  gic_start();
  set_interrupt_handler(INTID_PMU, on_overflow);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  write_sysreg(pmintenset_el1, 1 << SAMPLER);
  pmu_arm(SAMPLER, EVENT_INST_RETIRED, -(uint64_t)SAMPLE_PERIOD & 0xffffffff);
  interrupts_on();
}

static void stop_sampling(void) {
  interrupts_off();
  write_sysreg(pmcntenclr_el0, 1 << SAMPLER);
}

// ---- The last instructions ------------------------------------------------------------------

#define READ_ALL            \
  "mrs %0, pmevcntr0_el0\n" \
  "mrs %1, pmevcntr1_el0\n" \
  "mrs %2, pmevcntr2_el0\n" \
  "mrs %3, pmevcntr3_el0\n"
#define READ_INTO(to) "=&r"((to)[0]), "=&r"((to)[1]), "=&r"((to)[2]), "=&r"((to)[3])

/// In 15 columns with commas. Whatever the value, the same branches.
static void decimal(char* text, uint64_t value) {
  for (unsigned column = 0; column < 15; ++column) {
    const unsigned from_end = 14 - column;
    uint64_t unit = 1;
    for (unsigned i = 0; i < 12; ++i) unit *= i < from_end - from_end / 4 ? 10 : 1;
    const char digit = (char)('0' + value / unit % 10);
    const uint64_t shown = (uint64_t)(value >= unit) | (uint64_t)(from_end == 0);
    const char sign = from_end % 4 == 3 ? ',' : digit;
    const uint64_t mask = -shown;
    text[column] = (char)(((uint64_t)sign & mask) | (' ' & ~mask));
  }
}

static char lines[] =
    "  cycles                                \n"
    "  instructions                          \n"
    "  branches                              \n"
    "  exceptions                            \n";
_Static_assert(sizeof lines == PIECE_COUNTERS * LINE_BYTES + 1, "lines of one length");

/// Reads the counters, adds what is still to come, prints the sums to the console and writes 0 to
/// the exit device. The way there is the same whatever the counts. Comes back if there are others
/// in the place of those; `reads` is what the counters were at its beginning and behind its end.
static __attribute__((noinline)) void finish(const uint64_t* to_come, volatile uint32_t* console,
                                             volatile uint32_t* exit,
                                             uint64_t reads[2][PIECE_COUNTERS]) {
  __asm__ volatile(READ_ALL : READ_INTO(reads[0]) : : "memory");
  for (unsigned i = 0; i < PIECE_COUNTERS; ++i) {
    decimal(lines + i * LINE_BYTES + 25, reads[0][i] + to_come[i]);
  }
  for (const char* at = lines; *at != 0; ++at) *console = (uint8_t)*at;
  __asm__ volatile("str wzr, [%4]\n" READ_ALL : READ_INTO(reads[1]) : "r"(exit) : "memory");
}

/// What the counters do not see: before they were started, and after the last read.
static void account_for_the_ends(uint64_t* to_come) {
  static uint64_t reads[2][PIECE_COUNTERS];
  const uint64_t nothing[PIECE_COUNTERS] = {0};
  static volatile uint32_t elsewhere;
  finish(nothing, &elsewhere, &elsewhere, reads);
  for (unsigned i = 0; i < PIECE_COUNTERS; ++i) to_come[i] = reads[1][i] - reads[0][i];
  to_come[0] += PROLOGUE_INSTRUCTIONS;
  to_come[1] += PROLOGUE_INSTRUCTIONS - 1;  // less the second read of counter 0
}

void guest_main(void) {
  if (!pmu_probe() || pmu.counters <= SAMPLER) {
    panic("this machine has no PMU, or one of fewer than five counters");
  }
  print(
      "A guest that measures itself: PMUv3 version %u, %u event counters,\n"
      "read around each piece of work.\n\n",
      pmu.version, pmu.counters);
  start_sampling();
  run_pieces(pmu_read);
  stop_sampling();
  print_pieces("exceptions", "PMEVCNTR");

  uint64_t to_come[PIECE_COUNTERS];
  account_for_the_ends(to_come);
  print("Its counters at its very last instruction:\n");
  static uint64_t reads[2][PIECE_COUNTERS];
  finish(to_come, (volatile uint32_t*)(uint64_t)UART, (volatile uint32_t*)(uint64_t)EXIT_DEVICE,
         reads);
}
