// SPDX-License-Identifier: MIT
//
// The generic timer: counters, both timers, their interrupts, and what EL0 may touch of them.
#include "runtime/timer.h"

#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/start.h"

static const char* names[TIMERS] = {"virtual timer", "physical timer"};
static volatile unsigned fired[TIMERS];
static volatile uint64_t fired_at;
static volatile bool stop_when_fired = true;

static void on_timer(unsigned intid) {
  const enum timer timer = intid == INTID_VIRTUAL_TIMER ? TIMER_VIRTUAL : TIMER_PHYSICAL;
  fired_at = counter();
  ++fired[timer];
  if (stop_when_fired || fired[timer] == 3) timer_control(timer, 0);
}

static void sleep_until_fired(enum timer timer) {
  const unsigned before = fired[timer];
  while (fired[timer] == before) {
    // WFI wakes with interrupts masked: none can come between the test and the WFI.
    wfi();
    interrupts_on();
    interrupts_off();
  }
}

static void check_counters(void) {
  CHECK(read_sysreg(cntfrq_el0) != 0, "CNTFRQ_EL0 has the frequency: %lu Hz",
        read_sysreg(cntfrq_el0));
  uint64_t last = counter();
  bool grows = true;
  for (unsigned i = 0; i < 100; ++i) {
    for (unsigned j = 0; j < 1000; ++j) __asm__ volatile("nop");
    const uint64_t now = counter();
    grows = grows && now > last;
    last = now;
  }
  CHECK(grows, "the counter grows");
  isb();
  const uint64_t physical = read_sysreg(cntpct_el0);
  isb();
  CHECK(read_sysreg(cntvct_el0) - physical < 1000, "the virtual offset is 0");
}

static void check_timer(enum timer timer) {
  const char* name = names[timer];
  const unsigned intid = timer_intid(timer);
  const int32_t ticks = (int32_t)(read_sysreg(cntfrq_el0) / 10000);  // 100 us

  timer_control(timer, 0);
  timer_at(timer, counter() + 1000000);
  timer_control(timer, TIMER_ENABLE);
  CHECK_EQUAL(timer_status(timer), TIMER_ENABLE, "%s: no ISTATUS before its time", name);
  const int32_t left = timer_left(timer);
  CHECK(left <= 1000000 && left > 900000, "%s: TVAL is what is left", name);
  timer_in(timer, -5);
  const uint64_t now = counter();
  CHECK(now - timer_when(timer) < 1000, "%s: TVAL sets CVAL, sign extended", name);
  CHECK_EQUAL(timer_status(timer), TIMER_ENABLE | TIMER_ISTATUS, "%s: ISTATUS in the past", name);
  CHECK(gic_pending(intid), "%s: and its interrupt is pending", name);
  timer_control(timer, TIMER_ENABLE | TIMER_IMASK);
  CHECK(timer_status(timer) == (TIMER_ENABLE | TIMER_IMASK | TIMER_ISTATUS) && !gic_pending(intid),
        "%s: IMASK holds the interrupt back, not ISTATUS", name);
  timer_control(timer, 0);
  CHECK(!gic_pending(intid), "%s: without ENABLE there is none", name);

  set_interrupt_handler(intid, on_timer);
  gic_enable(intid, PRIORITY_DEFAULT);
  fired[timer] = 0;
  timer_in(timer, ticks);
  timer_control(timer, TIMER_ENABLE);
  const uint64_t due = timer_when(timer);
  sleep_until_fired(timer);
  CHECK(fired_at >= due && fired_at - due < (uint64_t)ticks, "%s: WFI until CVAL", name);
  CHECK_EQUAL(fired[timer], 1, "%s: one interrupt", name);

  // No sleep: it interrupts code that is running.
  timer_at(timer, counter() + (uint64_t)ticks);
  interrupts_on();
  timer_control(timer, TIMER_ENABLE);
  while (fired[timer] == 1) __asm__ volatile("nop");
  interrupts_off();
  CHECK(fired_at >= timer_when(timer) && fired_at - timer_when(timer) < (uint64_t)ticks,
        "%s: interrupts a loop at CVAL", name);

  // The line is a level: as long as it is not served, it comes again.
  stop_when_fired = false;
  fired[timer] = 0;
  timer_in(timer, 0);
  timer_control(timer, TIMER_ENABLE);
  interrupts_on();
  isb();
  interrupts_off();
  CHECK_EQUAL(fired[timer], 3, "%s: interrupts until it is served", name);
  stop_when_fired = true;
}

static volatile unsigned order[4], orders;
static void note_order(unsigned intid) {
  if (orders < 4) order[orders++] = intid;
  timer_control(intid == INTID_VIRTUAL_TIMER ? TIMER_VIRTUAL : TIMER_PHYSICAL, 0);
}

static void check_both(void) {
  for (unsigned first = 0; first < 2; ++first) {
    orders = 0;
    for (unsigned t = 0; t < TIMERS; ++t) {
      const unsigned intid = timer_intid((enum timer)t);
      set_interrupt_handler(intid, note_order);
      gic_enable(intid, t == first ? 0x40 : 0x80);
      timer_in((enum timer)t, 0);
      timer_control((enum timer)t, TIMER_ENABLE);
    }
    interrupts_on();
    isb();
    interrupts_off();
    CHECK(orders == 2 && order[0] == timer_intid((enum timer)first),
          "both at once: the %s first, as its priority says", names[first]);
  }
}

static void check_user(void) {
  const struct {
    const char* name;
    void (*code)(void*);
    uint64_t bit, esr;
  } accesses[] = {
      {"EL0VCTEN: CNTVCT_EL0", user_read_virtual_counter, 1 << 1, TRAPPED(3, 3, 14, 0, 2, 1, 1)},
      {"EL0PCTEN: CNTPCT_EL0", user_read_physical_counter, 1 << 0, TRAPPED(3, 3, 14, 0, 1, 1, 1)},
      {"EL0VTEN: CNTV_CTL_EL0", user_read_virtual_timer, 1 << 8, TRAPPED(3, 3, 14, 3, 1, 1, 1)},
      {"EL0PTEN: CNTP_CVAL_EL0", user_read_physical_timer, 1 << 9, TRAPPED(3, 3, 14, 2, 2, 1, 1)},
  };
  for (unsigned i = 0; i < sizeof accesses / sizeof *accesses; ++i) {
    write_sysreg(cntkctl_el1, ~accesses[i].bit & 0x303);
    isb();
    CHECK(user_faults(accesses[i].esr, accesses[i].code, 0), "without CNTKCTL.%s traps",
          accesses[i].name);
    write_sysreg(cntkctl_el1, accesses[i].bit);
    isb();
    CHECK(user_survives(accesses[i].code, 0), "with it, it does not");
  }
  write_sysreg(cntkctl_el1, 0);
}

void guest_main(void) {
  gic_start();
  check_counters();
  check_timer(TIMER_VIRTUAL);
  check_timer(TIMER_PHYSICAL);
  check_both();
  check_user();
}
