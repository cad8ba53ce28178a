// SPDX-License-Identifier: MIT
//
// Which level is sampled, where code changes its level many times between two samples: what is not
// of that level is not counted either.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { INTERVAL = 256, CALLS = 20 * 1000, BUFFER_BYTES = 1024 * 1024 };
/// Of each round of user_system_calls() at EL0: SVC, SUBS and B.NE. At its end there is one SVC.
enum { USER_OPERATIONS = 3 * CALLS + 1 };

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(4096)));
static uint64_t calls, toggles;
static bool alternates;

/// Profiles at the other level from here on. Both are counted down alike, so that each gets its
/// samples.
static void toggle(void) {
  write_spe(PMSCR_EL1, read_spe(PMSCR_EL1) ^ (PMSCR_E0SPE | PMSCR_E1SPE));
  isb();
  ++toggles;
}

static void on_call(struct trap* frame) {
  ++calls;
  if (alternates) toggle();
  if ((frame->esr & 0xffff) == 1) return;
  set_handler(EC_SVC, 0);
  frame->elr -= 4;
}

static struct { unsigned records, broken, levels[2], user_code[2]; } seen;

static void look(void) {
  __builtin_memset(&seen, 0, sizeof seen);
  const uint8_t* const end = (const uint8_t*)read_spe(PMBPTR_EL1);
  for (const uint8_t* at = buffer; at < end;) {
    struct spe_record record;
    at = spe_parse(at, end, &record);
    if (at == NULL) {
      ++seen.broken;
      return;
    }
    ++seen.records;
    const unsigned level = record.pc >> 61 & 1;
    ++seen.levels[level];
    const uint64_t pc = record.pc & ~(0xffULL << 56);
    seen.user_code[level] += pc >= USER_BLOCK && pc < USER_BLOCK + USER_BLOCK_BYTES;
  }
}

static void sample(uint64_t levels) {
  calls = 0;
  set_handler(EC_SVC, on_call);
  spe_start((uint64_t)buffer, (uint64_t)buffer + BUFFER_BYTES, INTERVAL, levels | PMSCR_TS);
  run_user((struct user_entry){.pc = (uint64_t)user_system_calls, .x0 = CALLS});
  spe_stop();
  look();
  CHECK_EQUAL(seen.broken, 0, "all records are whole");
  CHECK_EQUAL(read_spe(PMBSR_EL1), 0, "and there was room for all");
  CHECK_EQUAL(seen.user_code[0], seen.levels[0], "what is of EL0 is user code");
  CHECK_EQUAL(seen.user_code[1], 0, "what is of EL1 is not");
}

void guest_main(void) {
  sample(PMSCR_E0SPE);
  CHECK_EQUAL(calls, CALLS + 1, "EL0 calls between all samples");
  // The SVC that ends user code is executed once more, without a handler.
  CHECK_EQUAL(seen.records, (USER_OPERATIONS + 1) / (INTERVAL + 1), "EL0 only: its operations");
  CHECK_EQUAL(seen.levels[1], 0, "EL0 only: nothing of EL1");

  sample(PMSCR_E1SPE);
  const unsigned kernel = seen.records;
  CHECK_EQUAL(seen.levels[0], 0, "EL1 only: nothing of EL0");
  CHECK(kernel > 10 * CALLS / (INTERVAL + 1), "EL1 only: its operations");

  sample(PMSCR_E0SPE | PMSCR_E1SPE);
  const unsigned user = (USER_OPERATIONS + 1) / (INTERVAL + 1);
  CHECK(seen.records >= kernel + user && seen.records <= kernel + user + 1,
        "both: together as many as alone");
  CHECK(seen.levels[0] > 0 && seen.levels[1] > 0, "both: of both");

  alternates = true;
  sample(PMSCR_E0SPE);
  CHECK_EQUAL(toggles, calls, "the level is another one after each call");
  CHECK(seen.levels[0] > 0 && seen.levels[1] > 0, "samples of both levels");
  // Every second round is profiled at EL0.
  const unsigned half = USER_OPERATIONS / 2 / (INTERVAL + 1);
  CHECK(seen.records >= half + kernel / 4 && seen.records <= half + kernel,
        "as many as there is to sample");
}
