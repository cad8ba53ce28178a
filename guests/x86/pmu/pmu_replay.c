// SPDX-License-Identifier: MIT
//
// What record-and-replay debuggers need. A loop is single-stepped once: that records the registers
// behind each of its instructions. Then a counter that was armed for N must interrupt it exactly in
// the state behind its N-th instruction, or its N-th conditional branch, for a thousand values of
// N; and what is counted over the whole loop is the same number wherever it was interrupted, also
// where it moves strings.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60, ROUNDS = 350, STOPS = 1000, BRANCHES_PER_ROUND = 3, REPETITIONS = 100 };

void user_replay_loop(void);

// ---- Recording ----------------------------------------------------------------------------------

struct state {
  uint64_t rip, rax, rcx, rsi, rdi, r8, rflags;
  bool branch;  ///< the instruction behind us was a conditional branch
};
static struct state by_instruction[ROUNDS * 13 + 2], by_branch[ROUNDS * BRANCHES_PER_ROUND + 1];
static unsigned instructions, branches;
static uint64_t last_rip;

static struct state state_of(const struct trap* frame) {
  // RF and TF differ between a trap and an interrupt, and are no state of the loop's.
  return (struct state){.rip = frame->rip,
                        .rax = frame->rax,
                        .rcx = frame->rcx,
                        .rsi = frame->rsi,
                        .rdi = frame->rdi,
                        .r8 = frame->r8,
                        .rflags = frame->rflags & ~((uint64_t)RFLAGS_TF | 1 << 16)};
}
static bool same(const struct state* a, const struct state* b) {
  return a->rip == b->rip && a->rax == b->rax && a->rcx == b->rcx && a->rsi == b->rsi &&
         a->rdi == b->rdi && a->r8 == b->r8 && a->rflags == b->rflags;
}

static bool is_conditional_branch(uint64_t rip) {
  return (*(const uint8_t*)rip & 0xf0) == 0x70;  // Jcc rel8: the only form in the loop
}

static void on_step(struct trap* frame) {
  // An iteration of a string instruction is a step, but no instruction until the last.
  const bool unfinished = frame->rip == last_rip;
  const bool branch = is_conditional_branch(last_rip);
  last_rip = frame->rip;
  if (unfinished) return;
  by_instruction[++instructions] = state_of(frame);
  if (branch) by_branch[++branches] = state_of(frame);
}

static struct user_entry loop(uint64_t bytes) {
  return (struct user_entry){.rip = (uint64_t)user_replay_loop, .rdi = ROUNDS, .rdx = bytes};
}

static void record(uint64_t bytes) {
  instructions = 0;
  branches = 0;
  last_rip = (uint64_t)user_replay_loop;
  struct user_entry entry = loop(bytes);
  entry.rflags = RFLAGS_TF | RFLAGS_IF | RFLAGS_FIXED;
  run_user(entry);
}

// ---- Replaying ----------------------------------------------------------------------------------

static volatile unsigned pmis;
static struct state pmi_state;
static void on_pmi(struct trap* frame) {
  if (++pmis == 1) pmi_state = state_of(frame);
  // Branches of the handler's own, which are nobody's business.
  for (volatile unsigned i = 0; i < 10; ++i) {
  }
  pmu_acknowledge(1);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static const enum pmu_event watched[] = {EVENT_INSTRUCTIONS, EVENT_CONDITIONAL_BRANCHES,
                                         EVENT_CYCLES};
enum { WATCHED = sizeof watched / sizeof *watched };
struct counts {
  uint64_t of[WATCHED];
};

/// Counter 0 interrupts at the n-th event; counters 1 to 3 count. All in user mode only.
static struct counts replay(enum pmu_event event, uint64_t n, uint64_t bytes) {
  const uint64_t user = EVENTSEL_EN | EVENTSEL_USR;
  pmis = 0;
  pmi_state = (struct state){0};
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  pmu_arm(0, pmu_code(event), user | EVENTSEL_INT, -n & pmu.gp_mask);
  for (unsigned i = 0; i < WATCHED; ++i) pmu_arm(1 + i, pmu_code(watched[i]), user, 0);
  pmu_enable((1 << (1 + WATCHED)) - 1);
  run_user(loop(bytes));
  pmu_disable();
  struct counts counts;
  for (unsigned i = 0; i < WATCHED; ++i) counts.of[i] = rdpmc(1 + i);
  return counts;
}

static bool equal(const struct counts* a, const struct counts* b) {
  for (unsigned i = 0; i < WATCHED; ++i) {
    if (a->of[i] != b->of[i]) return false;
  }
  return true;
}

static void check_stops(enum pmu_event event, const struct state* recorded, uint64_t bytes) {
  unsigned wrong_states = 0, wrong_counts = 0;
  const struct counts undisturbed = replay(event, 1ULL << 30, bytes);
  for (uint64_t n = 1; n <= STOPS; ++n) {
    const struct counts counts = replay(event, n, bytes);
    if ((pmis != 1 || !same(&pmi_state, &recorded[n])) && ++wrong_states == 1) {
      print("      (N = %lu: %u interrupts, rip 0x%lx, %lu rounds left; recorded 0x%lx, %lu)\n", n,
            pmis, pmi_state.rip, pmi_state.r8, recorded[n].rip, recorded[n].r8);
    }
    if (!equal(&counts, &undisturbed) && ++wrong_counts == 1) {
      print("      (N = %lu: %lu instructions, %lu branches)\n", n, counts.of[0], counts.of[1]);
    }
  }
  CHECK_EQUAL(wrong_states, 0, "%s: the interrupt is in the recorded state, for N from 1 to %u",
              pmu_event_name(event), STOPS);
  CHECK_EQUAL(wrong_counts, 0, "nothing is counted differently because of it");
}

static void check_loop(uint64_t bytes) {
  record(bytes);
  print("strings of %lu bytes:\n", bytes);
  CHECK_EQUAL(branches, ROUNDS * BRANCHES_PER_ROUND, "the loop has %u conditional branches",
              ROUNDS * BRANCHES_PER_ROUND);
  const struct counts counts = replay(EVENT_INSTRUCTIONS, 1ULL << 30, bytes);
  CHECK_EQUAL(counts.of[0], instructions + 1,
              "as many instructions count as were stepped, and INT");
  CHECK_EQUAL(counts.of[1], branches, "as many conditional branches");
  check_stops(EVENT_CONDITIONAL_BRANCHES, by_branch, bytes);
  check_stops(EVENT_INSTRUCTIONS, by_instruction, bytes);
}

static void check_repetitions(void) {
  const struct counts first = replay(EVENT_CONDITIONAL_BRANCHES, 500, 20);
  const struct state state = pmi_state;
  unsigned different = 0;
  for (unsigned i = 0; i < REPETITIONS; ++i) {
    const struct counts again = replay(EVENT_CONDITIONAL_BRANCHES, 500, 20);
    different += !equal(&first, &again) || !same(&state, &pmi_state);
  }
  CHECK_EQUAL(different, 0, "%u repetitions count the same and stop in the same state",
              REPETITIONS);
}

void guest_main(void) {
  pmu_start();
  if (pmu.gp < 1 + WATCHED) {
    check_skip("four counters at once");
    return;
  }
  set_handler(VECTOR_DB, on_step);
  set_handler(VECTOR_PMI, on_pmi);
  apic_start();
  check_loop(0);
  check_loop(1);
  check_loop(20);
  check_repetitions();
}
