// SPDX-License-Identifier: MIT
//
// The guest of docs/howto/pv-perf.md: a small kernel that counts and samples through PV perf, by
// the driver pvperf.h. Only differences are printed, so that they are the same with every compiler.
// Command line: rounds=N counts a million rounds N times, 5 by itself.
#include "pvperf/pvperf.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { INSTRUCTIONS, BRANCHES, BOTH = 1 << INSTRUCTIONS | 1 << BRANCHES };
enum { VECTOR_PMI = 0x60, MILLION = 1000000 };

static struct pvperf_info info;
static struct pvperf_cpu cpu;
static struct pvperf_page page;

// ---- Set-up -------------------------------------------------------------------------------------

static void set_up(void) {
  if (pvperf_discover(&info) != PVPERF_OK) panic("this machine has no PV perf");
  if (pvperf_cpu_start(&cpu, &info, &page, (uint64_t)&page) != PVPERF_OK) panic("no page");
  print("PV perf %u.%u: %u events of %u bits\n", info.version >> 16, info.version & 0xffff,
        info.events, info.width);
}

static void loop(uint64_t rounds) {
  __asm__ volatile("1: dec %0; jnz 1b" : "+c"(rounds));
}

// ---- Counting -----------------------------------------------------------------------------------

static void start(void) {
  pvperf_command(&cpu, INSTRUCTIONS, pvperf_generic(PVPERF_INSTRUCTIONS, PVPERF_OS), 0, 0);
  pvperf_command(&cpu, BRANCHES, pvperf_generic(PVPERF_BRANCHES, PVPERF_OS), 0, 0);
  pvperf_start(&cpu, BOTH, NULL);  // an exit
}

static void stop(struct pvperf_value counts[2]) {
  pvperf_stop(&cpu, BOTH);                          // an exit
  pvperf_page_read_all(cpu.page, 2, counts, NULL);  // none
}

__attribute__((noinline)) static void count_loop(uint64_t rounds, struct pvperf_value counts[2]) {
  start();
  loop(rounds);
  stop(counts);
}

static void count(void) {
  struct pvperf_value once[2], often[2];
  count_loop(1, once);
  count_loop(1001, often);
  print("1000 rounds of two instructions: %lu instructions, %lu branches\n",
        often[INSTRUCTIONS].count - once[INSTRUCTIONS].count,
        often[BRANCHES].count - once[BRANCHES].count);
}

// ---- Sampling -----------------------------------------------------------------------------------

/// INT 0x80 takes it back to the kernel.
USER_CODE static void user_loop(uint64_t rounds) {
  __asm__ volatile("1: dec %0; jnz 1b; int $0x80" : "+c"(rounds));
}

static unsigned samples;
static uint64_t rounds_left[10];

static void overflow(void* frame, unsigned i, const struct pvperf_value* value) {
  (void)i, (void)value;
  if (samples < 10) rounds_left[samples] = ((const struct trap*)frame)->rcx;
  ++samples;
}
static void unmask(void* frame) {
  (void)frame;
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
}

static void on_pmi(struct trap* frame) {
  const struct pvperf_pmi_calls calls = {.overflow = overflow, .unmask = unmask, .context = frame};
  pvperf_pmi(&cpu, &calls);
  apic_eoi();
}

static void sample(void) {
  set_handler(VECTOR_PMI, on_pmi);
  unmask(NULL);
  pvperf_command(&cpu, BRANCHES, pvperf_generic(PVPERF_BRANCHES, PVPERF_USR | PVPERF_INT), 0, 100);
  pvperf_start(&cpu, 1 << BRANCHES, NULL);
  run_user((struct user_entry){.rip = (uint64_t)user_loop, .rdi = 1000});
  pvperf_stop(&cpu, 1 << BRANCHES);
  print("%u interrupts, one every 100 branches, with", samples);
  for (unsigned i = 0; i < samples && i < 10; ++i) print(" %lu", rounds_left[i]);
  print(" rounds left\n");
}

// ---- Counting for long --------------------------------------------------------------------------

/// Why the host does not count it now.
static void print_code(const struct pvperf_value* value) {
  const unsigned code = value->state >> PVPERF_STATE_CODE_SHIFT;
  if (code != 0) print(" (%s)", pvperf_code_name((enum pvperf_code)code));
}

static void print_how_it_went(const char* name, const struct pvperf_value* value) {
  print("%s:", name);
  if (value->time_running == 0) {
    print(" never on a counter\n");
  } else if (value->time_running < value->time_enabled) {
    print(" on a counter for a part of the time; scaled to all of it, %lu million\n",
          (pvperf_scaled(value) + MILLION / 2) / MILLION);
  } else {
    print(" on a counter all the time\n");
  }
}

static void count_for_long(void) {
  const uint64_t rounds = option_number("rounds", 5);
  struct pvperf_value before[2], now[2];
  start();
  for (uint64_t round = 1; round <= rounds; ++round) {
    pvperf_snap(&cpu);  // an exit, for exact values of events that run
    pvperf_page_read_all(cpu.page, 2, before, NULL);
    loop(MILLION);
    pvperf_snap(&cpu);
    pvperf_page_read_all(cpu.page, 2, now, NULL);
    // What the driver has counted beside the loop is less than one in a thousand.
    print("%lu: %lu thousand instructions, %lu thousand branches", round,
          (now[INSTRUCTIONS].count - before[INSTRUCTIONS].count) / 1000,
          (now[BRANCHES].count - before[BRANCHES].count) / 1000);
    print_code(&now[BRANCHES]);
    print("\n");
  }
  pvperf_page_read_all(cpu.page, 2, now, NULL);
  stop(before);
  print_how_it_went("instructions", &now[INSTRUCTIONS]);
  print_how_it_went("branches", &now[BRANCHES]);
}

void guest_main(void) {
  apic_start();
  set_up();
  count();
  sample();
  count_for_long();
  guest_exit(0);
}
