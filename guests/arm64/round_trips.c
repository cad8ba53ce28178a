// SPDX-License-Identifier: MIT
//
// What costs more than an instruction, many times over, for benchmarks. Command line, each a count:
//   svc=N        from EL0 to EL1 and back
//   mmio=N       reads of a device register
//   registers=N  reads of a PMU register
//   timer=N      timer interrupts, 20 us apart, of a loop
//   wfi=N        the same, asleep
#include "runtime/check.h"
#include "runtime/layout.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/timer.h"

static volatile uint64_t seen;

USER_CODE static void user_calls(uint64_t rounds) {
  __asm__ volatile(
      "1: svc #0\n"
      "subs %0, %0, #1\n"
      "b.ne 1b\n"
      "svc #1\n"
      : "+r"(rounds)
      :
      : "memory", "cc");
}
static void on_call(struct trap* frame) {
  ++seen;
  // The last one ends it.
  if ((frame->esr & 0xffff) == 1) set_handler(EC_SVC, 0), frame->elr -= 4;
}
static void calls(uint64_t count) {
  set_handler(EC_SVC, on_call);
  run_user((struct user_entry){.pc = (uint64_t)user_calls, .x0 = count});
  --seen;
}

static void device_reads(uint64_t count) {
  for (; seen < count; ++seen) read32(UART + 0x18);
}
static void register_reads(uint64_t count) {
  for (; seen < count; ++seen) read_sysreg(pmovsclr_el0);
}

static uint64_t ticks;
static void on_timer(unsigned intid) {
  (void)intid;
  ++seen;
  timer_at(TIMER_VIRTUAL, timer_when(TIMER_VIRTUAL) + ticks);
}
static void interrupts(uint64_t count, bool asleep) {
  gic_start();
  set_interrupt_handler(INTID_VIRTUAL_TIMER, on_timer);
  gic_enable(INTID_VIRTUAL_TIMER, PRIORITY_DEFAULT);
  ticks = read_sysreg(cntfrq_el0) / 50000;
  timer_at(TIMER_VIRTUAL, counter() + ticks);
  timer_control(TIMER_VIRTUAL, TIMER_ENABLE);
  interrupts_on();
  while (seen < count) {
    if (asleep) wfi();
  }
  interrupts_off();
  timer_control(TIMER_VIRTUAL, 0);
}
static void busy_interrupts(uint64_t count) {
  interrupts(count, false);
}
static void idle_interrupts(uint64_t count) {
  interrupts(count, true);
}

void guest_main(void) {
  const struct {
    const char* name;
    void (*run)(uint64_t count);
  } kinds[] = {{"svc", calls},
               {"mmio", device_reads},
               {"registers", register_reads},
               {"timer", busy_interrupts},
               {"wfi", idle_interrupts}};
  for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; ++k) {
    const uint64_t count = option_number(kinds[k].name, 0);
    if (count == 0) continue;
    seen = 0;
    kinds[k].run(count);
    CHECK_EQUAL(seen, count, "%lu of %s", count, kinds[k].name);
  }
}
