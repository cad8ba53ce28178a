// SPDX-License-Identifier: MIT
//
// Debug exceptions: software step, breakpoints and watchpoints, at EL0 and at EL1.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

enum { MDSCR_SS = 1, MDSCR_KDE = 1 << 13, MDSCR_MDE = 1 << 15 };
enum { DEBUG_STATUS = 0x22, STEP_VALID = 1 << 24, STEP_EXCLUSIVE = 1 << 6 };
enum { CONTROL_ENABLE = 1, CONTROL_EL1 = 1 << 1, CONTROL_EL0 = 2 << 1, CONTROL_WORD = 0xf << 5 };
enum { WATCH_LOAD = 1 << 3, WATCH_STORE = 2 << 3 };

static volatile unsigned steps;
static volatile uint64_t addresses[8], syndromes[8];

static void set_debug(uint64_t mdscr) {
  write_sysreg(oslar_el1, 0);
  isb();
  write_sysreg(mdscr_el1, mdscr);
  isb();
}

static void on_step(struct trap* frame) {
  if (steps < 8) {
    addresses[steps] = frame->elr;
    syndromes[steps] = frame->esr;
  }
  ++steps;
  frame->spsr |= SPSR_SS;
}

extern const char stepped_code[];
__asm__(
    ".pushsection .user.text, \"ax\"\n"
    "stepped_code: mov x1, #1\n"
    "b 1f\n"
    "nop\n"
    "1: ldxr x2, [x0]\n"
    "add x1, x1, #1\n"
    "svc #0x99\n"
    ".popsection");
USER_DATA static uint64_t word[4] __attribute__((aligned(64)));

static void check_steps(void) {
  set_handler(EC_STEP_EL0, on_step);
  set_debug(MDSCR_SS);
  const struct trap trap = run_user((struct user_entry){
      .pc = (uint64_t)stepped_code, .spsr = SPSR_SS | SPSR_F, .x0 = (uint64_t)word});
  const uint64_t start = (uint64_t)stepped_code;
  CHECK(steps == 4 && trap.kind == EC_SVC && trap.x[1] == 2,
        "software step: an exception behind each instruction");
  CHECK(addresses[0] == start + 4 && addresses[1] == start + 12 && addresses[2] == start + 16 &&
            addresses[3] == start + 20,
        "at the address of what comes next");
  const uint64_t stepped = ESR(EC_STEP_EL0, STEP_VALID | DEBUG_STATUS);
  CHECK(syndromes[0] == stepped && syndromes[1] == stepped &&
            syndromes[2] == (stepped | STEP_EXCLUSIVE) && syndromes[3] == stepped,
        "the syndrome says so, and which was a load exclusive");
  steps = 0;
  run_user((struct user_entry){.pc = (uint64_t)stepped_code, .spsr = SPSR_F, .x0 = (uint64_t)word});
  CHECK(steps >= 1 && addresses[0] == start, "without SPSR.SS: before the first");
  set_handler(EC_STEP_EL0, 0);
  set_debug(0);
}

static void check_breakpoints(void) {
  const uint64_t target = (uint64_t)stepped_code + 12;
  write_sysreg(dbgbvr0_el1, target);
  write_sysreg(dbgbcr0_el1, CONTROL_ENABLE | CONTROL_EL0 | CONTROL_WORD);
  const struct user_entry entry = {
      .pc = (uint64_t)stepped_code, .spsr = SPSR_F, .x0 = (uint64_t)word};
  CHECK(run_user(entry).kind == EC_SVC, "without MDSCR.MDE there are no breakpoints");
  set_debug(MDSCR_MDE);
  struct trap trap = run_user(entry);
  CHECK(trap.esr == ESR(EC_BREAKPOINT_EL0, DEBUG_STATUS) && trap.elr == target,
        "a breakpoint at EL0, before its instruction");
  write_sysreg(dbgbcr0_el1, CONTROL_ENABLE | CONTROL_EL1 | CONTROL_WORD);
  isb();
  CHECK(run_user(entry).kind == EC_SVC, "one for EL1 does nothing at EL0");
  write_sysreg(dbgbcr0_el1, 0);

  write_sysreg(dbgbvr1_el1, (uint64_t)read_8);
  write_sysreg(dbgbcr1_el1, CONTROL_ENABLE | CONTROL_EL1 | CONTROL_WORD);
  set_debug(MDSCR_MDE | MDSCR_KDE);
  CHECK(guard(read_8, word).kind == NO_TRAP, "at EL1 PSTATE.D masks it");
  __asm__ volatile("msr daifclr, #8");
  trap = guard(read_8, word);
  __asm__ volatile("msr daifset, #8");
  CHECK(trap.esr == ESR(EC_BREAKPOINT, DEBUG_STATUS) && trap.elr == (uint64_t)read_8,
        "and without it there is one");
  write_sysreg(dbgbcr1_el1, 0);
  set_debug(0);
}

static void check_watchpoints(void) {
  write_sysreg(dbgwvr0_el1, word);
  const uint64_t control = CONTROL_ENABLE | CONTROL_EL0 | 0xff << 5;
  set_debug(MDSCR_MDE);
  write_sysreg(dbgwcr0_el1, control | WATCH_STORE);
  isb();
  CHECK(user_survives(user_read_64, (uint64_t)word), "a watchpoint for stores lets loads pass");
  struct trap trap = attempt_in_user(user_write_32, (uint64_t)word + 4);
  CHECK(trap.kind == EC_WATCHPOINT_EL0 && (trap.esr & 0x7f) == (DEBUG_STATUS | 1 << 6) &&
            trap.elr == (uint64_t)user_write_32 && trap.far >= (uint64_t)word &&
            trap.far <= (uint64_t)word + 7,
        "and stops a store, before it is done");
  write_sysreg(dbgwcr0_el1, control | WATCH_LOAD);
  isb();
  trap = attempt_in_user(user_read_8, (uint64_t)word + 7);
  CHECK(trap.kind == EC_WATCHPOINT_EL0 && (trap.esr & 0x7f) == DEBUG_STATUS,
        "one for loads stops a load");
  CHECK(user_survives(user_read_8, (uint64_t)word + 8), "not of the word behind");
  write_sysreg(dbgwcr0_el1, CONTROL_ENABLE | CONTROL_EL0 | WATCH_LOAD | 2 << 5);
  isb();
  CHECK(user_survives(user_read_8, (uint64_t)word), "BAS: only the byte that is watched");
  CHECK(attempt_in_user(user_read_8, (uint64_t)word + 1).kind == EC_WATCHPOINT_EL0, "this one");
  write_sysreg(dbgwcr0_el1, 0);
  set_debug(0);
}

void guest_main(void) {
  check_steps();
  check_breakpoints();
  check_watchpoints();
}
