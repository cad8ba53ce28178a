// SPDX-License-Identifier: MIT
//
// What a guest sees of its statistical profiling while the host has stopped it: everything but
// records. Command line:
//   stopped=0   the host has not, or lets it go on in time
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { BUFFER_BYTES = 64 * 1024, INTERVAL = 256, ROUNDS = 5000, COUNT = 200 };

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(4096)));
static bool stopped;

static void check_registers(void) {
  CHECK_EQUAL(read_spe(PMSIDR_EL1) & 7, 7, "PMSIDR_EL1 says that it filters");
  CHECK_EQUAL(read_spe(PMBIDR_EL1) >> 4 & 1, 0, "PMBIDR_EL1 says that it may be programmed");
  write_spe(PMSIRR_EL1, 0x1200);
  write_spe(PMSICR_EL1, 0x345);
  write_spe(PMSFCR_EL1, PMSFCR_FT | PMSFCR_LD);
  write_spe(PMSEVFR_EL1, 2);
  write_spe(PMSLATFR_EL1, 0x67);
  write_spe(PMBPTR_EL1, (uint64_t)buffer + 64);
  isb();
  CHECK(read_spe(PMSIRR_EL1) == 0x1200 && read_spe(PMSICR_EL1) == 0x345 &&
            read_spe(PMSFCR_EL1) == (PMSFCR_FT | PMSFCR_LD) && read_spe(PMSEVFR_EL1) == 2 &&
            read_spe(PMSLATFR_EL1) == 0x67 && read_spe(PMBPTR_EL1) == (uint64_t)buffer + 64,
        "registers keep what is written");
  write_spe(PMSFCR_EL1, 0);
  write_spe(PMSEVFR_EL1, 0);
  write_spe(PMSLATFR_EL1, 0);
}

static volatile unsigned interrupts;
static void on_buffer(unsigned intid) {
  (void)intid;
  ++interrupts;
  write_spe(PMBSR_EL1, 0);
  isb();
}

static void check_interrupt(void) {
  gic_start();
  set_interrupt_handler(INTID_SPE, on_buffer);
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  write_spe(PMBSR_EL1, PMBSR_S);
  interrupts_on();
  isb();
  interrupts_off();
  CHECK_EQUAL(interrupts, 1, "a written PMBSR.S interrupts");
  CHECK_EQUAL(read_spe(PMBSR_EL1), 0, "until it is cleared");
}

static void check_sampling(uint64_t levels) {
  print("enables profiling, PMSCR_EL1 %lx\n", levels);
  const uint64_t base = (uint64_t)buffer;
  spe_start(base, base + BUFFER_BYTES, INTERVAL, levels);
  write_spe(PMSICR_EL1, COUNT);
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
  spe_drain();
  const uint64_t records = (read_spe(PMBPTR_EL1) - base) / SPE_RECORD_BYTES;
  const uint64_t count = read_spe(PMSICR_EL1), status = read_spe(PMBSR_EL1);
  CHECK(read_spe(PMBLIMITR_EL1) & PMBLIMITR_E, "the buffer is enabled");
  CHECK_EQUAL(read_spe(PMSCR_EL1), levels, "and so is profiling");
  spe_stop();
  CHECK_EQUAL(status, 0, "nothing happened to the buffer");
  if (stopped) {
    CHECK_EQUAL(records, 0, "no record arrives");
    CHECK_EQUAL(buffer[0], 0, "nothing is written");
    CHECK_EQUAL(count, COUNT, "the interval stands still");
  } else {
    CHECK(records + 2 > 2 * ROUNDS / INTERVAL, "records arrive");
    CHECK(buffer[0] != 0, "they are in the buffer");
    CHECK(count != COUNT, "the interval runs");
  }
}

void guest_main(void) {
  stopped = option_number("stopped", 1) != 0;
  check_registers();
  check_interrupt();
  check_sampling(PMSCR_E0SPE);
  check_sampling(PMSCR_E0SPE | PMSCR_E1SPE);
}
