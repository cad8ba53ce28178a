// SPDX-License-Identifier: MIT
//
// Counters and statistical profiling at the same time: each interrupts when its own is due, and
// tells of its own.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { INTERVAL = 256, PERIOD = 5000, ROUNDS = 200 * 1000, OPERATIONS = 2 * ROUNDS + 1 };
enum { PAGE_RECORDS = 4096 / SPE_RECORD_BYTES };

static uint8_t buffer[4096] __attribute__((aligned(4096)));
static volatile unsigned overflows, buffers, strange, elsewhere, at_once;

static void look_where(void) {
  const uint64_t at = interrupted()->elr;
  if (at < (uint64_t)user_branch_loop || at > (uint64_t)user_branch_loop_end) ++elsewhere;
}

static void on_overflow(unsigned intid) {
  (void)intid;
  ++overflows;
  if ((read_sysreg(pmovsclr_el0) & 1) == 0) ++strange;
  if (gic_pending(INTID_SPE)) ++at_once;
  // What has been counted since it overflowed counts.
  write_sysreg(pmevcntr0_el0, (read_sysreg(pmevcntr0_el0) - PERIOD) & 0xffffffff);
  write_sysreg(pmovsclr_el0, 1);
  look_where();
}

static void on_buffer(unsigned intid) {
  (void)intid;
  ++buffers;
  if (read_spe(PMBSR_EL1) != (PMBSR_S | PMBSR_BSC_FULL)) ++strange;
  if (gic_pending(INTID_PMU)) ++at_once;
  write_spe(PMBPTR_EL1, (uint64_t)buffer);
  isb();
  write_spe(PMBSR_EL1, 0);
  isb();
  look_where();
}

static void start_both(unsigned period) {
  overflows = buffers = strange = elsewhere = at_once = 0;
  pmu_clear();
  write_sysreg(pmintenset_el1, 1);
  pmu_arm(0, EVENT_INST_RETIRED | PMEVTYPER_P, -(uint64_t)period & 0xffffffff);
  spe_start((uint64_t)buffer, (uint64_t)buffer + sizeof buffer, INTERVAL, PMSCR_E0SPE | PMSCR_TS);
  pmu_enable();
}

static void run_loop(void) {
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
}

static void stop_both(void) {
  pmu_disable();
  spe_stop();
  pmu_clear();
}

static void check_each_its_own(void) {
  start_both(PERIOD);
  run_loop();
  stop_both();
  CHECK_EQUAL(overflows, OPERATIONS / PERIOD, "the counter interrupts at each period");
  CHECK_EQUAL(buffers, OPERATIONS / (INTERVAL + 1) / PAGE_RECORDS,
              "the buffer at each that is full");
  CHECK_EQUAL(strange, 0, "each has what it interrupts for");
  CHECK_EQUAL(elsewhere, 0, "and interrupts the loop");
}

/// The counter overflows at the operation whose record fills the buffer.
static void check_at_once(void) {
  start_both(PAGE_RECORDS * (INTERVAL + 1));
  interrupts_off();
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop,
                               .spsr = SPSR_I | SPSR_F,
                               .x0 = PAGE_RECORDS * (INTERVAL + 1) / 2 + 1});
  CHECK(gic_pending(INTID_PMU) && gic_pending(INTID_SPE), "both interrupts are pending");
  const uint64_t pointer = read_spe(PMBPTR_EL1);
  CHECK_EQUAL(pointer, (uint64_t)buffer + sizeof buffer, "the buffer is full");
  interrupts_on();
  isb();
  interrupts_off();
  stop_both();
  CHECK(overflows == 1 && buffers == 1 && at_once == 1, "and taken one after the other");
  CHECK_EQUAL(strange, 0, "each has what it interrupts for");
}

/// Pages of records, and the counter's periods, in step for a while.
static void check_in_step(void) {
  start_both(PAGE_RECORDS * (INTERVAL + 1));
  run_loop();
  stop_both();
  CHECK_EQUAL(buffers, OPERATIONS / (INTERVAL + 1) / PAGE_RECORDS,
              "in step, each full buffer interrupts");
  CHECK(overflows > OPERATIONS / PERIOD / 4, "and so does the counter");
  CHECK(at_once >= 1, "at least once both at the same instruction");
}

void guest_main(void) {
  pmu_start();
  gic_start();
  set_interrupt_handler(INTID_PMU, on_overflow);
  set_interrupt_handler(INTID_SPE, on_buffer);
  gic_enable(INTID_PMU, PRIORITY_DEFAULT);
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  interrupts_on();
  check_each_its_own();
  check_in_step();
  interrupts_off();
  check_at_once();
}
