// SPDX-License-Identifier: MIT
//
// WFI and WFE: what wakes them, what does not let them sleep, and that no time passes in loops for
// it.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/timer.h"

static volatile unsigned fired;
static void on_timer(unsigned intid) {
  (void)intid;
  ++fired;
  timer_control(TIMER_VIRTUAL, 0);
}

static void arm(uint64_t microseconds) {
  const uint64_t hz = read_sysreg(cntfrq_el0);
  timer_at(TIMER_VIRTUAL, counter() + microseconds * hz / 1000000);
  timer_control(TIMER_VIRTUAL, TIMER_ENABLE);
}
static void take_it(void) {
  interrupts_on();
  isb();
  interrupts_off();
}

static void check_wfi(void) {
  arm(1000);
  wfi();
  CHECK(counter() >= timer_when(TIMER_VIRTUAL), "WFI sleeps until the timer");
  CHECK_EQUAL(fired, 0, "with interrupts masked it wakes, and does not take it");
  wfi();
  wfi();
  CHECK(gic_pending(INTID_VIRTUAL_TIMER), "with one pending it does not sleep");
  take_it();
  CHECK_EQUAL(fired, 1, "which is taken when it may be");

  // Hours are no work.
  timer_at(TIMER_VIRTUAL, counter() + 3600 * read_sysreg(cntfrq_el0));
  if (!option_flag("realtime")) {
    timer_control(TIMER_VIRTUAL, TIMER_ENABLE);
    interrupts_on();
    while (fired == 1) wfi();
    interrupts_off();
    CHECK(counter() >= timer_when(TIMER_VIRTUAL), "an hour of sleep");
  }
  gic_disable(INTID_VIRTUAL_TIMER);
}

static void check_wfe(void) {
  sev();
  wfe();
  CHECK(true, "after SEV, WFE goes on");
  __asm__ volatile("sevl\nwfe" : : : "memory");
  CHECK(true, "after SEVL, too");
}

static void check_event_stream(void) {
  // An event of the counter, each time bit 10 rises.
  write_sysreg(cntkctl_el1, 10 << 4 | 1 << 2);
  isb();
  wfe();  // one may have been left
  const uint64_t from = counter();
  for (unsigned i = 0; i < 5; ++i) wfe();
  const uint64_t slept = counter() - from;
  write_sysreg(cntkctl_el1, 0);
  CHECK(slept >= 4 << 11 && slept < 7 << 11, "the event stream ends WFE (%lu ticks)", slept);
}

void guest_main(void) {
  gic_start();
  set_interrupt_handler(INTID_VIRTUAL_TIMER, on_timer);
  gic_enable(INTID_VIRTUAL_TIMER, PRIORITY_DEFAULT);
  check_wfi();
  check_wfe();
  check_event_stream();
}
