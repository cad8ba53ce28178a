// SPDX-License-Identifier: MIT
//
// All CPUs sample user mode at once, each with events of its own, while others do: no overflow is
// lost, none comes twice or to another CPU, and what the hypervisor itself counts agrees: the
// interrupts that it injected, the time that it took away.
#include "offer.h"
#include "pmu/measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/smp.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { VECTOR_PMI = 0x60, ROUNDS = 20000 };
enum { SAMPLED, COUNTED, INJECTED, STOLEN, EVENTS };

static unsigned cpus;
static bool nmi;
static struct own {
  uint64_t rounds, period;
  volatile uint64_t pmis, samples, foreign;
  struct pvperf_value value[EVENTS];
  enum pvperf_code code;
} own[MAX_CPUS];

static void unmask(void* unused) {
  (void)unused;
  apic_write(APIC_LVT_PERFORMANCE, nmi ? LVT_NMI : VECTOR_PMI);
}
static void on_overflow(void* context, unsigned i, const struct pvperf_value* value) {
  (void)value;
  struct own* me = context;
  ++*(i == SAMPLED ? &me->samples : &me->foreign);
}
static void on_pmi(struct trap* frame) {
  (void)frame;
  const unsigned cpu = current_cpu();
  const struct pvperf_pmi_calls calls = {on_overflow, unmask, &own[cpu]};
  ++own[cpu].pmis;
  pvperf_pmi(&pv_cpus[cpu], &calls);
  if (!nmi) apic_eoi();
}

static void sample(void* unused) {
  (void)unused;
  const unsigned number = current_cpu();
  struct own* me = &own[number];
  struct pvperf_cpu* cpu = pv_start_cpu();
  const uint64_t user = PVPERF_USR, both = PVPERF_USR | PVPERF_OS;
  unmask(0);
  pvperf_command(cpu, SAMPLED, pvperf_generic(PVPERF_INSTRUCTIONS, user | PVPERF_INT), 0,
                 me->period);
  pvperf_command(cpu, COUNTED, pvperf_generic(PVPERF_INSTRUCTIONS, user), 0, 0);
  pvperf_command(cpu, INJECTED, pvperf_software(PVPERF_INTERRUPTS, both), 0, 0);
  pvperf_command(cpu, STOLEN, pvperf_software(PVPERF_STOLEN_NS, both), 0, 0);
  me->code = pvperf_start(cpu, (1 << EVENTS) - 1, 0);
  run_user((struct user_entry){
      .rip = (uint64_t)user_branch_loop, .rdi = me->rounds, .rsp = USER_STACK_TOP - number * 4096});
  sti();  // for an overflow with the INT that ended it
  __asm__ volatile("nop");
  cli();
  if (me->code == PVPERF_OK) me->code = pvperf_stop(cpu, (1 << EVENTS) - 1);
  for (unsigned i = 0; i < EVENTS; ++i) pvperf_read(cpu, i, &me->value[i]);
  pvperf_cpu_stop(cpu);
}

static void check_cpu(unsigned cpu) {
  const struct own* me = &own[cpu];
  const uint64_t instructions = 2 * me->rounds + 1;
  CHECK_EQUAL(me->code, PVPERF_OK, "CPU %u starts and stops", cpu);
  CHECK_EQUAL(me->value[COUNTED].count, instructions, "it counts its own %lu instructions",
              instructions);
  const uint64_t rest = (me->value[SAMPLED].count + me->period) & pvperf_mask(&pv);
  CHECK_EQUAL(me->samples * me->period + rest, instructions,
              "%lu samples every %lu instructions, and the rest, are all of them", me->samples,
              me->period);
  CHECK(me->foreign == 0 && me->pmis == me->samples, "each is one interrupt, and no more");
  CHECK_EQUAL(me->value[INJECTED].count, me->pmis, "the host has injected as many");
  const struct pvperf_value* counted = &me->value[COUNTED];
  CHECK(counted->time_running != 0 && counted->time_running == counted->time_enabled,
        "they ran while the CPU did: %lu ns", counted->time_running);
  const bool shared = option_flag("shared");
  CHECK((me->value[STOLEN].count != 0) == shared,
        shared ? "%lu ns were taken by other CPUs" : "no time was taken: %lu ns",
        me->value[STOLEN].count);
}

static void start_apic(void* unused) {
  (void)unused;
  apic_start();
}

void guest_main(void) {
  pv_start();
  nmi = option_flag("nmi");
  set_handler(nmi ? VECTOR_NMI : VECTOR_PMI, on_pmi);
  cpus = smp_start();
  start_apic(0);
  CHECK_EQUAL(cpus, option_number("cpus", smp_cpus()), "%u CPUs run", cpus);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    own[cpu].rounds = ROUNDS + 1000 * cpu;
    own[cpu].period = 197 + 10 * cpu;
  }
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_run(cpu, sample, 0);
  sample(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) smp_wait(cpu);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) check_cpu(cpu);
}
