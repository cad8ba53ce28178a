// SPDX-License-Identifier: MIT
//
// For those who sample it from outside: operations of all kinds at both exception levels, data in
// all levels of caches and in none, interrupts, faults and system calls.
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/start.h"
#include "runtime/timer.h"
#include "runtime/traps.h"

void mixture(uint8_t* data, uint64_t rounds, uint64_t mask, uint64_t step);
void user_mixture(uint8_t* data, uint64_t rounds, uint64_t mask, uint64_t step);
/// Loads and stores that find no translation: of the pages of `data`, `step` bytes apart.
void without_tlb(uint8_t* data, uint64_t rounds, uint64_t mask, uint64_t step);
/// x0 rounds of SVC #1, SUBS and B.NE; then SVC #0x99.
void user_system_calls(void);

enum { MARGIN = 64, USER_BYTES = 64 * 1024, TICKS = 3000 };
static uint8_t user_data[USER_BYTES + 2 * MARGIN + 4096] USER_DATA __attribute__((aligned(64)));
/// Behind everything that the image has: 32 MiB.
static uint8_t* const wide = (uint8_t*)0x42000000;

static volatile unsigned interrupts, calls, faults;
static void on_timer(unsigned intid) {
  (void)intid;
  ++interrupts;
  timer_in(TIMER_VIRTUAL, TICKS);
}
static void on_call(struct trap* frame) {
  ++calls;
  if ((frame->esr & 0xffff) == 1) return;
  // The last one ends user code.
  set_handler(EC_SVC, 0);
  frame->elr -= 4;
}
static void load_from_nowhere(void* nowhere) {
  *(volatile uint8_t*)nowhere;
}

void guest_main(void) {
  const unsigned rounds = (unsigned)option_number("rounds", 4000);
  gic_start();
  set_interrupt_handler(INTID_VIRTUAL_TIMER, on_timer);
  gic_enable(INTID_VIRTUAL_TIMER, PRIORITY_DEFAULT);
  timer_in(TIMER_VIRTUAL, TICKS);
  timer_control(TIMER_VIRTUAL, TIMER_ENABLE);
  interrupts_on();
  // What L1, L2 and the last level have (lines of one set of the level above), and what none has.
  mixture(wide + MARGIN, rounds, (16 << 10) - 1, 64);
  mixture(wide + MARGIN, rounds, (512 << 10) - 1, 16 << 10);
  mixture(wide + MARGIN, rounds, (4 << 20) - 1, 128 << 10);
  mixture(wide + MARGIN, rounds, (32 << 20) - 1, 4096 * 17 + 64);
  without_tlb(wide, 5 * rounds, (32 << 20) - 1, 4096 + 64);
  run_user((struct user_entry){.pc = (uint64_t)user_mixture,
                               .x0 = (uint64_t)user_data + MARGIN,
                               .x1 = rounds,
                               .x2 = USER_BYTES - 1,
                               .x3 = 64});
  set_handler(EC_SVC, on_call);
  run_user((struct user_entry){.pc = (uint64_t)user_system_calls, .x0 = rounds});
  for (unsigned n = 0; n < rounds / 4; ++n) {
    if (guard(load_from_nowhere, (void*)0x7fe0000000ULL).kind == EC_DATA_ABORT) ++faults;
  }
  interrupts_off();
  CHECK(interrupts > 10, "the timer interrupts");
  CHECK(calls >= rounds, "EL0 calls");
  CHECK_EQUAL(faults, rounds / 4, "loads from nowhere fault");
}
