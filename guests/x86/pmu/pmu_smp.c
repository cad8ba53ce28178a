// SPDX-License-Identifier: MIT
//
// All CPUs of the machine sample a loop of their own in user mode, while each sends IPIs to the
// next from its PMI handler: every CPU counts its own events, none of the others', and no PMI or
// IPI is lost or comes twice.
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60, VECTOR_PING = 0x61, USER_STACK_BYTES = 4096, ROUNDS = 20000 };

static unsigned cpus;

/// One for each CPU, and touched by it alone but for `ping_waits`.
static struct own {
  uint64_t rounds, period;
  uint32_t apic_id;
  volatile uint32_t ping_waits;  ///< set by the CPU before it, cleared when the IPI arrives
  volatile uint64_t pmis, foreign_pmis, pings_sent, pings_received;
  uint64_t rest, instructions, branches, kernel_instructions;
} own[MAX_CPUS];

static void on_pmi(struct trap* frame) {
  (void)frame;
  const unsigned cpu = current_cpu();
  struct own* me = &own[cpu];
  if ((pmu_overflows(1) & 1) == 0) ++me->foreign_pmis;
  ++me->pmis;
  pmu_write(0, -me->period & pmu.gp_mask);
  pmu_acknowledge(1);
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  apic_eoi();
  // One IPI at a time: the APIC holds a vector once.
  struct own* next = &own[(cpu + 1) % cpus];
  if (next != me && next->ping_waits == 0) {
    next->ping_waits = 1;
    ++me->pings_sent;
    apic_send(ICR_ASSERT | VECTOR_PING, next->apic_id);
  }
}

static void on_ping(struct trap* frame) {
  (void)frame;
  struct own* me = &own[current_cpu()];
  ++me->pings_received;
  me->ping_waits = 0;
  apic_eoi();
}

static void sample(void* unused) {
  (void)unused;
  const unsigned cpu = current_cpu();
  struct own* me = &own[cpu];
  const uint64_t user = EVENTSEL_EN | EVENTSEL_USR, start = -me->period & pmu.gp_mask;
  pmu_clear();
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), user | EVENTSEL_INT, start);
  pmu_arm(1, pmu_code(EVENT_INSTRUCTIONS), user, 0);
  pmu_arm(2, pmu_code(EVENT_BRANCHES), user, 0);
  pmu_arm(3, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_EN | EVENTSEL_OS, 0);
  pmu_enable(0xf);
  run_user((struct user_entry){.rip = (uint64_t)user_branch_loop,
                               .rdi = me->rounds,
                               .rsp = USER_STACK_TOP - cpu * USER_STACK_BYTES});
  pmu_disable();
  sti();  // for an overflow with the INT that ended it, and for the last IPI
  __asm__ volatile("nop");
  cli();
  me->rest = (rdpmc(0) - start) & pmu.gp_mask;
  me->instructions = rdpmc(1);
  me->branches = rdpmc(2);
  me->kernel_instructions = rdpmc(3);
}

static void note_apic_id(void* unused) {
  (void)unused;
  own[current_cpu()].apic_id = apic_id();
}

/// What is still on its way when everybody is done.
static void take_last_ping(void* unused) {
  (void)unused;
  while (own[current_cpu()].ping_waits != 0) {
    sti();
    pause();
    cli();
  }
}

static void on_all(void (*function)(void*)) {
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, function, 0);
  function(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
}

static void check_cpu(unsigned cpu) {
  const struct own* me = &own[cpu];
  const uint64_t instructions = 2 * me->rounds + 1;
  CHECK_EQUAL(me->instructions, instructions, "CPU %u counts its own %lu instructions", cpu,
              instructions);
  CHECK_EQUAL(me->branches, me->rounds + 1, "and its own %lu branches", me->rounds + 1);
  CHECK_EQUAL(me->pmis * me->period + me->rest, instructions,
              "%lu PMIs every %lu instructions, and the rest, are all of them", me->pmis,
              me->period);
  CHECK_EQUAL(me->foreign_pmis, 0, "all PMIs are of its own counter");
  CHECK(me->kernel_instructions > 10 * me->pmis, "kernel mode counts apart: %lu",
        me->kernel_instructions);
}

void guest_main(void) {
  pmu_start();
  if (pmu.gp < 4) {
    check_skip("four counters at once");
    return;
  }
  set_handler(VECTOR_PMI, on_pmi);
  set_handler(VECTOR_PING, on_ping);
  if (option_flag("x2apic") && apic_has_x2apic()) apic_use_x2apic();
  cpus = smp_start();
  CHECK_EQUAL(cpus, option_number("cpus", smp_cpus()), "%u CPUs run", cpus);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    own[cpu].rounds = ROUNDS + 1000 * cpu;
    own[cpu].period = 97 + 10 * cpu;
  }
  on_all(note_apic_id);
  on_all(sample);
  on_all(take_last_ping);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) check_cpu(cpu);
  uint64_t sent = 0, received = 0;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    sent += own[cpu].pings_sent;
    received += own[cpu].pings_received;
  }
  CHECK_EQUAL(received, sent, "every IPI of %lu arrives once", sent);
  CHECK(cpus == 1 || sent >= 2 * cpus, "every CPU had some");
}
