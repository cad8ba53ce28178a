// SPDX-License-Identifier: MIT
//
// A guest with the host's only unit, which the host takes to profile the guest: PMBIDR_EL1.P says
// so, and what is programmed meanwhile takes effect when the host is done. Who runs it does what it
// asks for: it prints HOST STOPS and HOST STARTS, and waits. With `alone` the host profiles all the
// time.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { INTERVAL = 512, ROUNDS = 30 * 1000, OPERATIONS = 2 * ROUNDS + 1, BUFFER_BYTES = 64 * 1024 };

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(4096)));

static bool host_has_it(void) {
  return (read_spe(PMBIDR_EL1) >> 4 & 1) != 0;
}
static void expect_host(bool has_it) {
  for (unsigned patience = 0; host_has_it() != has_it && patience < 1000000; ++patience) {
  }
  CHECK(host_has_it() == has_it, has_it ? "the host has taken it" : "the host has given it back");
}
static void run_loop(void) {
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
  spe_drain();
}
static uint64_t records(void) {
  return (read_spe(PMBPTR_EL1) - (uint64_t)buffer) / SPE_RECORD_BYTES;
}
static void check_registers(void) {
  CHECK_EQUAL(read_spe(PMSCR_EL1), PMSCR_E0SPE | PMSCR_TS, "PMSCR_EL1 is as it was written");
  CHECK_EQUAL(read_spe(PMSIRR_EL1), INTERVAL, "and PMSIRR_EL1");
  CHECK_EQUAL(read_spe(PMBLIMITR_EL1), ((uint64_t)buffer + BUFFER_BYTES) | PMBLIMITR_E,
              "and PMBLIMITR_EL1");
  CHECK_EQUAL(read_spe(PMBSR_EL1), 0, "and PMBSR_EL1");
}

/// That all are of the loop.
static void check_records(void) {
  unsigned elsewhere = 0, broken = 0;
  const uint8_t* const end = (const uint8_t*)read_spe(PMBPTR_EL1);
  for (const uint8_t* at = buffer; at < end;) {
    struct spe_record record;
    at = spe_parse(at, end, &record);
    if (at == NULL) {
      ++broken;
      break;
    }
    const uint64_t pc = record.pc & ~(0xffULL << 56);
    elsewhere += pc < (uint64_t)user_branch_loop || pc > (uint64_t)user_branch_loop_end;
  }
  CHECK_EQUAL(broken, 0, "all records are whole");
  CHECK_EQUAL(elsewhere, 0, "and of the guest's loop");
}

void guest_main(void) {
  CHECK(host_has_it(), "the host has the unit");
  spe_start((uint64_t)buffer, (uint64_t)buffer + BUFFER_BYTES, INTERVAL, PMSCR_E0SPE | PMSCR_TS);
  check_registers();
  run_loop();
  CHECK_EQUAL(records(), 0, "there is no record meanwhile");
  check_registers();
  if (option_flag("alone")) return;

  print("HOST STOPS\n");
  expect_host(false);
  check_registers();
  run_loop();
  CHECK_EQUAL(records(), OPERATIONS / (INTERVAL + 1), "what was programmed takes effect then");

  print("HOST STARTS\n");
  expect_host(true);
  run_loop();
  CHECK_EQUAL(records(), OPERATIONS / (INTERVAL + 1), "nothing is added meanwhile");
  check_registers();

  print("HOST STOPS\n");
  expect_host(false);
  run_loop();
  CHECK_EQUAL(records(), 2 * OPERATIONS / (INTERVAL + 1), "the interval goes on where it was");
  check_records();
  spe_stop();
}
