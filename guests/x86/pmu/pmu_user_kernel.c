// SPDX-License-Identifier: MIT
//
// What user mode and what kernel mode executed, apart and to the instruction: with system calls,
// faults that skip, faults that restart, and interrupts between.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/paging.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"
#include "split.h"

enum { VECTOR_MAKE_ABSENT = 0x82, VECTOR_TICK = 0x62, FEW = 500, MANY = 1500 };
#define FAULTING_PAGE (512ULL << 30)

void skip_ud2(void);
void make_present(void);
void make_absent(void);
void tick(void);
void user_invalid_opcodes(void);
void user_page_faults(void);
extern volatile uint64_t *faulting_entry, ticks;

/// What one round of user code is in user mode and in the kernel.
static const struct way {
  const char* name;
  void (*code)(void);
  uint64_t rsi;
  unsigned user_instructions, kernel_instructions;
  unsigned user_branches, kernel_branches;
  unsigned user_loads, kernel_loads;
} ways[] = {
    {"SYSCALL", user_system_calls, 0, 3, SHORT_SYSCALL_INSTRUCTIONS, 2, 1, 0, 0},
    // UD2 never retires. IRETQ reads five words, and the ADD before it one.
    {"#UD", user_invalid_opcodes, 0, 2, 2, 1, 1, 0, 6},
    // The load retires once, though it is started twice.
    {"#PF and INT n", user_page_faults, FAULTING_PAGE, 4, 12, 2, 2, 1, 16},
};
enum { WAYS = sizeof ways / sizeof *ways };

struct run {
  const struct way* way;
  uint64_t rounds;
};
static void run_way(void* argument) {
  const struct run* run = argument;
  run_user((struct user_entry){.rip = (uint64_t)run->way->code,
                               .rdi = run->rounds,
                               .rsi = run->way->rsi,
                               .rflags = RFLAGS_FIXED});
}

static void check_way(const struct way* way, enum pmu_event event, unsigned user, unsigned kernel) {
  if (pmu_code(event) == 0) return;
  struct run run = {way, FEW};
  const struct split few = count_split(pmu_code(event), run_way, &run);
  run.rounds = MANY;
  const struct split many = count_split(pmu_code(event), run_way, &run);
  const char* name = pmu_event_name(event);
  CHECK_EQUAL(many.user - few.user, (MANY - FEW) * (uint64_t)user, "%s: user mode, %u %s a round",
              way->name, user, name);
  CHECK_EQUAL(many.kernel - few.kernel, (MANY - FEW) * (uint64_t)kernel,
              "%s: kernel mode, %u %s a round", way->name, kernel, name);
  CHECK(few.user + few.kernel == few.both && many.user + many.kernel == many.both,
        "%s: %s in user and in kernel mode are the whole", way->name, name);
}

static void check_ways(void) {
  wrmsr(MSR_LSTAR, (uint64_t)short_syscall);
  set_gate_target(VECTOR_UD, (uint64_t)skip_ud2);
  set_gate_target(VECTOR_PF, (uint64_t)make_present);
  set_gate_target(VECTOR_MAKE_ABSENT, (uint64_t)make_absent);
  set_gate(VECTOR_MAKE_ABSENT, 3, 0);
  faulting_entry = page_map(FAULTING_PAGE, USER_PAGE, PAGE_WRITE | PAGE_USER, LEVEL_4K);
  for (unsigned w = 0; w < WAYS; ++w) {
    const struct way* way = &ways[w];
    check_way(way, EVENT_INSTRUCTIONS, way->user_instructions, way->kernel_instructions);
    check_way(way, EVENT_BRANCHES, way->user_branches, way->kernel_branches);
    check_way(way, EVENT_LOADS, way->user_loads, way->kernel_loads);
  }
  struct run run = {&ways[2], 1};
  const struct split one = count_split(pmu_code(EVENT_INSTRUCTIONS), run_way, &run);
  CHECK_EQUAL(one.user, 4 + 1, "one round is its instructions and the INT that ends it");
}

static void run_loop(void* rounds) {
  run_user((struct user_entry){.rip = (uint64_t)user_branch_loop, .rdi = (uint64_t)rounds});
}

/// The timer interrupts the loop where it happens to; every interrupt is six kernel instructions.
static void check_interrupts(void) {
  enum { ROUNDS = 200000, TICK_INSTRUCTIONS = 6 };
  void* const rounds = (void*)(uint64_t)ROUNDS;
  const uint64_t code = pmu_code(EVENT_INSTRUCTIONS);
  set_gate_target(VECTOR_TICK, (uint64_t)tick);
  apic_start();
  const struct split quiet = count_split(code, run_loop, rounds);
  apic_write(APIC_TIMER_DIVIDE, 0xb);  // by 1
  apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TICK);
  apic_write(APIC_TIMER_INITIAL, 50);
  const struct split busy = count_split(code, run_loop, rounds);
  apic_write(APIC_LVT_TIMER, LVT_MASKED);
  // count_split() enters user mode, where interrupts are open, nowhere else.
  CHECK(ticks > 50, "the timer interrupts a loop %lu times", ticks);
  CHECK_EQUAL(quiet.user, 2 * ROUNDS + 1, "without it, user mode executes what it has to");
  CHECK_EQUAL(busy.user, quiet.user, "with it, the same");
  CHECK_EQUAL(busy.kernel, quiet.kernel + TICK_INSTRUCTIONS * ticks,
              "kernel mode %u instructions more for each interrupt", TICK_INSTRUCTIONS);
  CHECK_EQUAL(busy.user + busy.kernel, busy.both, "user and kernel are the whole");
}

void guest_main(void) {
  pmu_start();
  if (pmu.gp < 3) {
    check_skip("three counters at once");
    return;
  }
  check_ways();
  check_interrupts();
}
