// SPDX-License-Identifier: MIT
//
// A guest that measures itself. It sorts, hashes and branches; four general-purpose counters run
// from its first instructions to its last and are read around each piece of work through RDPMC;
// another counter overflows every SAMPLE_PERIOD instructions, and its interrupt notes which piece
// it interrupted. The last four lines are the counters' values at the very end of the run: the same
// numbers that the machine reports as retired.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum {
  COUNTERS = 4,
  SAMPLER = 4,  // the counter that samples where there are no fixed ones
  SAMPLE_PERIOD = 10000,
  VECTOR_PMI = 0x60,
  KEYS = 16384,
  COM1 = 0x3f8,
  DEBUG_EXIT = 0xf4,
  UNUSED_PORT = 0x80,
  PROLOGUE_INSTRUCTIONS = 21 + 4,  // demo_counters.S
};

uint64_t demo_prologue_cycles(void);
void demo_finish(const uint64_t* to_come, unsigned console_port, unsigned exit_port,
                 uint64_t reads[2][COUNTERS]);

static uint32_t keys[KEYS];
static uint64_t state = 88172645463325252;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// ---- The work: each piece in a section of its own, so that a sampled address tells it
// --------------

#define PIECE(name) __attribute__((section("piece_" #name), noinline))

PIECE(sort) static void sort(uint32_t* begin, uint32_t* end) {
  while (end - begin > 1) {
    const uint32_t pivot = begin[(end - begin) / 2];
    uint32_t *low = begin, *high = end - 1;
    while (low <= high) {
      while (*low < pivot) ++low;
      while (*high > pivot) --high;
      if (low > high) break;
      const uint32_t key = *low;
      *low++ = *high;
      *high-- = key;
    }
    sort(begin, high + 1);
    begin = low;
  }
}

PIECE(hash) static uint64_t hash(const uint32_t* begin, const uint32_t* end) {
  uint64_t value = 0xcbf29ce484222325;
  for (int pass = 0; pass < 16; ++pass) {
    for (const uint32_t* key = begin; key < end; ++key) {
      value = (value ^ *key) * 0x100000001b3;
      value ^= value >> 29;
    }
  }
  return value;
}

PIECE(branch) static uint64_t branch(void) {
  uint64_t longest = 0;
  for (uint64_t start = 1; start <= 5000; ++start) {  // the 3n + 1 problem
    uint64_t steps = 0;
    for (uint64_t n = start; n != 1; ++steps) {
      if (n % 2 == 0)
        n /= 2;
      else
        n = 3 * n + 1;
      __asm__ volatile("" : "+r"(n));
    }
    if (steps > longest) longest = steps;
  }
  return longest;
}

static volatile uint64_t result;
static void run_sort(void) {
  sort(keys, keys + KEYS);
}
static void run_hash(void) {
  result = hash(keys, keys + KEYS);
}
static void run_branch(void) {
  result += branch();
}

extern const char __start_piece_sort[], __stop_piece_sort[], __start_piece_hash[],
    __stop_piece_hash[], __start_piece_branch[], __stop_piece_branch[];

static struct piece {
  const char* name;
  void (*run)(void);
  const char *code_begin, *code_end;
  uint64_t counts[COUNTERS];
  uint64_t samples;
} pieces[] = {
    {.name = "sort", .run = run_sort, __start_piece_sort, __stop_piece_sort},
    {.name = "hash", .run = run_hash, __start_piece_hash, __stop_piece_hash},
    {.name = "branch", .run = run_branch, __start_piece_branch, __stop_piece_branch},
};
enum { PIECES = sizeof pieces / sizeof *pieces };

// ---- Sampling
// ---------------------------------------------------------------------------------------

static uint64_t reload;
static volatile uint64_t samples, samples_elsewhere;

static void on_pmi(struct trap* frame) {
  ++samples;
  unsigned i = 0;
  while (i < PIECES && !(frame->rip >= (uint64_t)pieces[i].code_begin &&
                         frame->rip < (uint64_t)pieces[i].code_end)) {
    ++i;
  }
  if (i < PIECES)
    ++pieces[i].samples;
  else
    ++samples_elsewhere;
  if (pmu.fixed != 0) {
    wrmsr(MSR_FIXED_CTR0, reload);
    pmu_acknowledge(1ULL << 32);
  } else {
    pmu_write(SAMPLER, reload);
    pmu_acknowledge(1ULL << SAMPLER);
  }
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static void start_sampling(void) {
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  reload = -(uint64_t)SAMPLE_PERIOD & pmu.gp_mask;
  struct pmu_switch start;
  if (pmu.fixed != 0) {
    start = pmu_arm_fixed(0, FIXED_OS | FIXED_USR | FIXED_PMI, reload);
  } else {
    start = pmu_arm(SAMPLER, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, reload);
  }
  if (pmu.global_ctrl != 0) start.value |= rdmsr(pmu.global_ctrl);
  wrmsr((uint32_t)start.msr, start.value);
  sti();
}

static void stop_sampling(void) {
  cli();
  wrmsr(pmu.fixed != 0 ? MSR_FIXED_CTR_CTRL : pmu_select_msr(SAMPLER), 0);
}

// ---- The report
// -------------------------------------------------------------------------------------

static void print_row(const char* name, const uint64_t* counts, uint64_t sampled) {
  print("  %-8s", name);
  for (unsigned i = 0; i < COUNTERS; ++i) print("%'13lu", counts[i]);
  print("%'10lu\n", sampled);
}

static void print_table(void) {
  print("  %-8s%13s%13s%13s%13s%10s\n", "", "cycles", "instructions", "branches", "mispredicts",
        "samples");
  uint64_t sums[COUNTERS] = {0}, sampled = 0;
  for (unsigned p = 0; p < PIECES; ++p) {
    print_row(pieces[p].name, pieces[p].counts, pieces[p].samples);
    for (unsigned i = 0; i < COUNTERS; ++i) sums[i] += pieces[p].counts[i];
    sampled += pieces[p].samples;
  }
  print_row("sum", sums, sampled);
  print(
      "\n  %lu overflow interrupts, one every %'u instructions (%lu outside the three pieces):\n"
      "  %'lu instructions by overflow, %'lu by RDPMC\n\n",
      samples, (unsigned)SAMPLE_PERIOD, samples_elsewhere, sampled * SAMPLE_PERIOD, sums[1]);
}

/// What the counters do not see: before they were started, and after the last read.
static void account_for_the_ends(uint64_t* to_come) {
  static uint64_t reads[2][COUNTERS];
  const uint64_t nothing[COUNTERS] = {0};
  // Twice: the first call may also train the branch predictor.
  demo_finish(nothing, UNUSED_PORT, UNUSED_PORT, reads);
  demo_finish(nothing, UNUSED_PORT, UNUSED_PORT, reads);
  for (unsigned i = 0; i < COUNTERS; ++i) to_come[i] = reads[1][i] - reads[0][i];
  to_come[1] -= 4;  // the four instructions that read counter 0 for the second time
  to_come[0] += demo_prologue_cycles();
  to_come[1] += PROLOGUE_INSTRUCTIONS;
}

void guest_main(void) {
  if (!pmu_probe() || pmu.gp < COUNTERS || (pmu.fixed == 0 && pmu.gp <= SAMPLER)) {
    panic("this machine has no PMU, or one of fewer than five counters");
  }
  for (unsigned i = 0; i < KEYS; ++i) keys[i] = (uint32_t)(next_random() >> 32);

  print(
      "A guest that measures itself: %s PMU version %u, %u counters of %u bits,\n"
      "read around each piece of work through RDPMC.\n\n",
      pmu.vendor == PMU_AMD ? "AMD" : "architectural", pmu.version, pmu.gp,
      (unsigned)__builtin_ctzll(pmu.gp_mask + 1));
  start_sampling();
  for (unsigned p = 0; p < PIECES; ++p) {
    uint64_t before[COUNTERS];
    for (unsigned i = 0; i < COUNTERS; ++i) before[i] = rdpmc(i);
    pieces[p].run();
    for (unsigned i = 0; i < COUNTERS; ++i) pieces[p].counts[i] = rdpmc(i) - before[i];
  }
  stop_sampling();
  print_table();

  uint64_t to_come[COUNTERS];
  account_for_the_ends(to_come);
  print("Its counters at its very last instruction:\n");
  static uint64_t reads[2][COUNTERS];
  demo_finish(to_come, COM1, DEBUG_EXIT, reads);
}
