// SPDX-License-Identifier: MIT
//
// The guest of docs/howto/count-in-a-guest.md: counts a loop, tells user from kernel code, and
// takes an interrupt every hundred branches. Only differences are checked and printed, so that they
// are the same with every compiler.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

// ---- Counting -----------------------------------------------------------------------------------

static void program(unsigned i, enum pmu_event event, uint64_t flags, uint64_t value) {
  wrmsr(MSR_PERFEVTSEL0 + i, 0);
  wrmsr(MSR_A_PMC0 + i, value);
  wrmsr(MSR_PERFEVTSEL0 + i, pmu_code(event) | flags);  // instructions: event C0, unit mask 00
}

struct counts {
  uint64_t instructions, branches;
};

__attribute__((noinline, noclone)) static struct counts count_loop(uint64_t rounds) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);  // after reset it enables all counters
  program(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_OS | EVENTSEL_USR, 0);
  program(1, EVENT_BRANCHES, EVENTSEL_EN | EVENTSEL_OS | EVENTSEL_USR, 0);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1 << 1 | 1 << 0);  // both start here; this WRMSR counts
  __asm__ volatile("1: dec %0; jnz 1b" : "+r"(rounds));
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);  // both stop here; this one does not
  return (struct counts){rdpmc(0), rdpmc(1)};
}

static void count(void) {
  const struct counts once = count_loop(1), often = count_loop(1001);
  print("1000 rounds of two instructions: %lu instructions, %lu branches\n",
        often.instructions - once.instructions, often.branches - once.branches);
}

// ---- User and kernel code -----------------------------------------------------------------------

/// INT 0x80 takes it back to the kernel.
USER_CODE static void user_loop(uint64_t rounds) {
  __asm__ volatile("1: dec %0; jnz 1b; int $0x80" : "+c"(rounds));
}

static void run_user_loop(uint64_t rounds) {
  run_user((struct user_entry){.rip = (uint64_t)user_loop, .rdi = rounds});
}

struct split {
  uint64_t user, kernel;
};

__attribute__((noinline, noclone)) static struct split count_user_loop(uint64_t rounds) {
  program(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_USR, 0);  // CPL 1 to 3
  program(1, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_OS, 0);   // CPL 0
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1 << 1 | 1 << 0);
  run_user_loop(rounds);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  return (struct split){rdpmc(0), rdpmc(1)};
}

static void split(void) {
  const struct split once = count_user_loop(1), often = count_user_loop(1001);
  print("the same in user mode: %lu user instructions, %lu kernel instructions\n",
        often.user - once.user, often.kernel - once.kernel);
}

// ---- Sampling -----------------------------------------------------------------------------------

enum { VECTOR_PMI = 0x60, PERIOD = 100 };

static unsigned samples;
static uint64_t rounds_left[10];

static void on_pmi(struct trap* frame) {
  if (samples < 10) rounds_left[samples] = frame->rcx;
  ++samples;
  wrmsr(MSR_A_PMC0, -PERIOD & pmu.gp_mask);      // the next period
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1 << 0);       // the overflow has been seen
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);  // unmask: the PMI has masked it
  apic_eoi();
}

static void sample(void) {
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  program(0, EVENT_BRANCHES, EVENTSEL_EN | EVENTSEL_USR | EVENTSEL_INT, -PERIOD & pmu.gp_mask);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1 << 0);
  run_user_loop(1000);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  print("%u interrupts, with", samples);
  for (unsigned i = 0; i < samples && i < 10; ++i) print(" %lu", rounds_left[i]);
  print(" rounds left\n");
}

void guest_main(void) {
  if (!pmu_probe() || pmu.vendor != PMU_INTEL || pmu.version < 2)
    panic("no PMU of version 2 or later (vpmu run --pmu on)");
  print("PMU version %u: %u counters, %u fixed counters\n", pmu.version, pmu.gp, pmu.fixed);
  count();
  split();
  sample();
  guest_exit(0);
}
