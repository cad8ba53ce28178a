// SPDX-License-Identifier: MIT
//
// What user mode and what kernel mode executed, apart: with system calls between, and with
// interrupts at every distance.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60 };

static struct pmu pmu;

struct split {
  uint64_t user, kernel, both;
};

static struct split run_system_calls(uint64_t rounds) {
  pmu_program(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_USR, 0);
  pmu_program(1, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_OS, 0);
  pmu_program(2, EVENT_INSTRUCTIONS, EVENTSEL_COUNT, 0);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 7);
  run_user((struct user_entry){.rip = (uint64_t)user_system_calls, .rdi = rounds});
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  return (struct split){rdpmc(0), rdpmc(1), rdpmc(2)};
}

static void check_split(void) {
  wrmsr(MSR_LSTAR, (uint64_t)short_syscall);
  const struct split some = run_system_calls(1000), more = run_system_calls(3000);
  CHECK_EQUAL(some.user, 3 * 1000 + 1, "user mode executes three instructions a round, and INT");
  CHECK_EQUAL(more.user - some.user, 3 * 2000, "and three more for each more round");
  CHECK_EQUAL(more.kernel - some.kernel, SHORT_SYSCALL_INSTRUCTIONS * 2000,
              "kernel mode %u for each system call", SHORT_SYSCALL_INSTRUCTIONS);
  CHECK(some.user + some.kernel == some.both && more.user + more.kernel == more.both,
        "user and kernel are the whole");
}

static uint64_t reload;
static volatile unsigned pmis;
static void on_pmi(struct trap* frame) {
  (void)frame;
  ++pmis;
  wrmsr(MSR_FIXED_CTR0, reload);
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << 32);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static void check_interrupted_loop(void) {
  enum { ROUNDS = 500 };
  set_handler(VECTOR_PMI, on_pmi);
  apic_start();
  unsigned wrong = 0, least = ~0u;
  for (uint64_t period = 5; period <= 300; ++period) {
    pmis = 0;
    reload = -period & pmu.fixed_mask;
    pmu_program(0, EVENT_CONDITIONAL_BRANCHES, EVENTSEL_EN | EVENTSEL_USR, 0);
    pmu_program(1, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_USR, 0);
    wrmsr(MSR_FIXED_CTR0, reload);
    wrmsr(MSR_FIXED_CTR_CTRL, FIXED_USR | FIXED_PMI);
    apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
    wrmsr(MSR_PERF_GLOBAL_CTRL, 1ULL << 32 | 3);
    run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = ROUNDS});
    wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
    sti();  // for an overflow with the INT that ended it
    __asm__ volatile("nop");
    cli();
    const bool right =
        rdpmc(0) == ROUNDS && rdpmc(1) == 2 * ROUNDS + 1 && pmis == (2 * ROUNDS + 1) / period;
    if (!right && ++wrong == 1) {
      print("      (N = %lu: %lu branches, %lu instructions, %u interrupts)\n", period, rdpmc(0),
            rdpmc(1), pmis);
    }
    if (pmis < least) least = pmis;
  }
  pmu_clear(&pmu);
  CHECK_EQUAL(wrong, 0,
              "a loop of %u conditional branches counts %u, interrupted every N instructions, for "
              "every N from 5 to 300",
              ROUNDS, ROUNDS);
  CHECK(least >= 3, "with at least %u interrupts each", least);
}

void guest_main(void) {
  pmu = pmu_probe();
  CHECK(pmu.version >= 2, "there is a PMU of version %u", pmu.version);
  pmu_clear(&pmu);
  check_split();
  check_interrupted_loop();
}
