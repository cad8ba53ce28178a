// SPDX-License-Identifier: MIT
//
// CMASK, INV and EDGE: cycles in which an event occurs at least so often, cycles in which it does
// not, and how often the one turns into the other. docs/counting.md says when in an instruction's
// cycles its events occur.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"
#include "split.h"

enum { VECTOR_PMI = 0x60 };
#define AT_LEAST(n) EVENTSEL_CMASK(n)
#define FEWER_THAN(n) (EVENTSEL_CMASK(n) | EVENTSEL_INV)

/// Of the measured block, on counter 0.
static uint64_t in_block(enum pmu_event event, uint64_t condition) {
  measured_block(pmu_arm(0, pmu_code(event), EVENTSEL_COUNT | condition, 0));
  const uint64_t counted = rdpmc(0);
  pmu_arm(0, 0, 0, 0);
  return counted;
}
static uint64_t in_sled(enum pmu_event event, uint64_t condition) {
  sled(pmu_arm(0, pmu_code(event), EVENTSEL_COUNT | condition, 0));
  const uint64_t counted = rdpmc(0);
  pmu_arm(0, 0, 0, 0);
  return counted;
}

static void check_cycles(void) {
  const uint64_t cycles = in_block(EVENT_CYCLES, 0);
  CHECK_EQUAL(in_block(EVENT_CYCLES, AT_LEAST(1)), cycles, "every cycle has at least one cycle");
  CHECK_EQUAL(in_block(EVENT_CYCLES, AT_LEAST(2)), 0, "none has two");
  CHECK_EQUAL(in_block(EVENT_CYCLES, FEWER_THAN(1)), 0, "none has fewer than one");
  CHECK_EQUAL(in_block(EVENT_CYCLES, FEWER_THAN(2)), cycles, "every cycle has fewer than two");
  CHECK_EQUAL(in_block(EVENT_CYCLES, AT_LEAST(1) | EVENTSEL_EDGE), 1, "they begin once");
}

static void check_instructions(void) {
  const uint64_t cycles = in_block(EVENT_CYCLES, 0);
  CHECK_EQUAL(in_block(EVENT_INSTRUCTIONS, AT_LEAST(1)), BLOCK_INSTRUCTIONS,
              "every instruction retires in a cycle of its own");
  CHECK_EQUAL(in_block(EVENT_INSTRUCTIONS, FEWER_THAN(1)), cycles - BLOCK_INSTRUCTIONS,
              "in all the other cycles none does");
  CHECK_EQUAL(in_block(EVENT_INSTRUCTIONS, AT_LEAST(2)), 0, "two never do");
  CHECK_EQUAL(in_block(EVENT_INSTRUCTIONS, EVENTSEL_INV), BLOCK_INSTRUCTIONS,
              "INV without CMASK changes nothing");
  // Of a round's eight, all that touch memory take longer than a cycle: MOV, INC, MOV, CALL, RET.
  CHECK_EQUAL(in_block(EVENT_INSTRUCTIONS, AT_LEAST(1) | EVENTSEL_EDGE), 1 + 5 * BLOCK_ROUNDS,
              "retiring begins again behind each instruction of several cycles");
  CHECK_EQUAL(in_sled(EVENT_INSTRUCTIONS, AT_LEAST(1) | EVENTSEL_EDGE), 1,
              "in a sled of NOPs it never pauses");
  CHECK_EQUAL(in_sled(EVENT_INSTRUCTIONS, FEWER_THAN(1) | EVENTSEL_EDGE), 1,
              "but once, before the first");
}

static void check_other_events(void) {
  for (unsigned e = 1; e < BLOCK_COUNTS; ++e) {
    const enum pmu_event event = block_counts[e].event;
    if (pmu_code(event) == 0) continue;
    CHECK_EQUAL(in_block(event, AT_LEAST(1)), block_counts[e].kernel, "%s: one in a cycle",
                pmu_event_name(event));
    CHECK_EQUAL(in_block(event, AT_LEAST(2)), 0, "%s: never two", pmu_event_name(event));
  }
  if (pmu_code(EVENT_SLOTS) == 0) return;
  const uint64_t cycles = in_block(EVENT_CYCLES, 0), slots = in_block(EVENT_SLOTS, 0);
  const uint64_t width = slots / cycles;
  CHECK_EQUAL(width * cycles, slots, "every cycle has %lu slots", width);
  CHECK_EQUAL(in_block(EVENT_SLOTS, AT_LEAST(width)), cycles, "all of them at once");
  CHECK_EQUAL(in_block(EVENT_SLOTS, AT_LEAST(width + 1)), 0, "and never one more");
}

static void run_system_calls(void* rounds) {
  run_user((struct user_entry){.rip = (uint64_t)user_system_calls, .rdi = (uint64_t)rounds});
}

/// How often kernel mode, or user mode, is entered.
static uint64_t entries(uint64_t privilege, uint64_t system_calls) {
  pmu_arm(0, pmu_code(EVENT_CYCLES), EVENTSEL_EN | privilege | AT_LEAST(1) | EVENTSEL_EDGE, 0);
  pmu_enable(1);
  run_system_calls((void*)system_calls);
  pmu_disable();
  return rdpmc(0);
}

static void check_privilege(void) {
  wrmsr(MSR_LSTAR, (uint64_t)short_syscall);
  CHECK_EQUAL(entries(EVENTSEL_USR, 100), 1 + 100, "user mode is entered once, and by each SYSRET");
  // It is in the kernel to begin with, and comes back by the INT.
  CHECK_EQUAL(entries(EVENTSEL_OS, 100), 2 + 100, "kernel mode by each SYSCALL, and in the end");
  CHECK_EQUAL(entries(EVENTSEL_OS, 1100) - entries(EVENTSEL_OS, 100), 1000,
              "a thousand more calls, a thousand more entries");
  CHECK_EQUAL(entries(EVENTSEL_OS | EVENTSEL_USR, 100), 1, "together they begin once");
  if (pmu.gp < 3) return;
  const struct split busy =
      count_split(pmu_code(EVENT_INSTRUCTIONS) | AT_LEAST(1), run_system_calls, (void*)300);
  CHECK_EQUAL(busy.user + busy.kernel, busy.both, "busy cycles: user and kernel are the whole");
  const struct split idle =
      count_split(pmu_code(EVENT_INSTRUCTIONS) | FEWER_THAN(1), run_system_calls, (void*)300);
  CHECK_EQUAL(idle.user + idle.kernel, idle.both, "cycles without an instruction: likewise");
}

static void run_block(void) {
  run_user((struct user_entry){.rip = (uint64_t)user_block});
}

/// Different conditions on all counters, in user mode.
static void check_all_together(void) {
  static const struct {
    enum pmu_event event;
    uint64_t condition;
  } conditions[] = {{EVENT_CYCLES, AT_LEAST(1)},
                    {EVENT_INSTRUCTIONS, AT_LEAST(1)},
                    {EVENT_INSTRUCTIONS, FEWER_THAN(1)},
                    {EVENT_INSTRUCTIONS, AT_LEAST(1) | EVENTSEL_EDGE},
                    {EVENT_BRANCHES, AT_LEAST(1)},
                    {EVENT_BRANCHES, FEWER_THAN(1)},
                    {EVENT_BRANCHES, AT_LEAST(1) | EVENTSEL_EDGE},
                    {EVENT_CYCLES, AT_LEAST(1) | EVENTSEL_EDGE}};
  uint64_t alone[8];
  const unsigned count = pmu.gp < 8 ? pmu.gp : 8;
  for (unsigned i = 0; i < count; ++i) {
    const uint64_t code = pmu_code(conditions[i].event) | conditions[i].condition;
    pmu_arm(0, code, EVENTSEL_EN | EVENTSEL_USR, 0);
    pmu_enable(1);
    run_block();
    pmu_disable();
    alone[i] = rdpmc(0);
  }
  for (unsigned i = 0; i < count; ++i) {
    const uint64_t code = pmu_code(conditions[i].event) | conditions[i].condition;
    pmu_arm(i, code, EVENTSEL_EN | EVENTSEL_USR, 0);
  }
  pmu_enable(pmu_all());
  run_block();
  pmu_disable();
  unsigned wrong = 0;
  for (unsigned i = 0; i < count; ++i) {
    wrong += rdpmc(i) != alone[i];
    if (rdpmc(i) != alone[i]) print("      (%u: %lu, not %lu)\n", i, rdpmc(i), alone[i]);
  }
  CHECK_EQUAL(wrong, 0, "%u conditions at once count what each counts alone", count);
  pmu_clear();
}

static volatile unsigned pmis;
static volatile uint64_t pmi_rip;
static void on_pmi(struct trap* frame) {
  pmu_disable();
  ++pmis;
  pmi_rip = frame->rip;
  pmu_acknowledge(1);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
}

static void check_overflow(void) {
  set_handler(VECTOR_PMI, on_pmi);
  apic_start();
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  unsigned wrong = 0;
  sti();
  for (uint64_t n = 1; n <= SLED_LENGTH; n += 37) {
    pmis = 0;
    sled(pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT | AT_LEAST(1),
                 -n & pmu.gp_mask));
    wrong += pmis != 1 || pmi_rip != (uint64_t)sled_begin + n - 1;
  }
  cli();
  pmu_clear();
  CHECK_EQUAL(wrong, 0, "the interrupt comes right behind the N-th such cycle");
}

void guest_main(void) {
  pmu_start();
  check_cycles();
  check_instructions();
  check_other_events();
  check_privilege();
  check_all_together();
  check_overflow();
}
