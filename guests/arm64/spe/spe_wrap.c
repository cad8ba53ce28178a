// SPDX-License-Identifier: MIT
//
// A driver that goes on when its buffer is full: at each interrupt it takes the records out and
// begins anew. All the records that there must be are there, at EL0 to the last one; each is whole.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum {
  INTERVAL = 256,
  ROUNDS = 200 * 1000,
  PAGE_RECORDS = 4096 / SPE_RECORD_BYTES,
  UNTOUCHED = 0x5a
};

/// The buffer, and a page that nobody may touch.
static uint8_t buffer[2 * 4096] __attribute__((aligned(4096)));
/// Of ROUNDS words, behind everything that the image has.
static uint64_t* const words = (uint64_t*)0x42000000;

/// Five instructions a round: a store and a load of the next word, an addition, SUBS and B.NE.
void walking_loop(uint64_t rounds, uint64_t* words);
extern const char walking_loop_begin[], walking_loop_end[];
__asm__(
    ".text\n.global walking_loop, walking_loop_begin, walking_loop_end\n"
    "walking_loop:\nwalking_loop_begin:\n"
    "1: str x0, [x1], #8\nldr x2, [x1, #-8]\nadd x3, x3, #1\nsubs x0, x0, #1\nb.ne 1b\n"
    "walking_loop_end:\nret\n");

static struct {
  unsigned interrupts, strange, records, torn, gaps, walked, levels[2];
  uint64_t last_time;
  bool descends;
} seen;

/// Which instruction of the loop it is, counted from 0, if it is one that says so.
static bool walked(const struct spe_record* record, uint64_t* index) {
  const uint64_t pc = record->pc & ~(0xffULL << 56);
  if (pc < (uint64_t)walking_loop_begin || pc >= (uint64_t)walking_loop_end) return false;
  if (record->type != 0x49) return false;
  *index = (record->address - (uint64_t)words) / 8 * 5 + (pc - (uint64_t)walking_loop_begin) / 4;
  return true;
}

/// What lies between two samples of a buffer in the loop are intervals.
static void take_records(void) {
  const uint8_t* const end = (const uint8_t*)read_spe(PMBPTR_EL1);
  uint64_t last_index = 0;
  unsigned since_last = 0;
  bool has_last = false;
  for (const uint8_t* at = buffer; at < end; at += SPE_RECORD_BYTES) {
    struct spe_record record;
    const uint8_t* const behind = spe_parse(at, at + SPE_RECORD_BYTES, &record);
    if (behind != at + SPE_RECORD_BYTES || !record.has_timestamp) {
      ++seen.torn;
      return;
    }
    ++seen.records;
    ++seen.levels[record.pc >> 61 & 1];
    if (record.timestamp < seen.last_time) seen.descends = true;
    seen.last_time = record.timestamp;
    ++since_last;
    uint64_t index = 0;
    if (!walked(&record, &index)) continue;
    ++seen.walked;
    if (has_last && index - last_index != (uint64_t)since_last * (INTERVAL + 1)) ++seen.gaps;
    has_last = true;
    last_index = index;
    since_last = 0;
  }
}

static void on_buffer(unsigned intid) {
  (void)intid;
  ++seen.interrupts;
  if (read_spe(PMBSR_EL1) != (PMBSR_S | PMBSR_BSC_FULL)) ++seen.strange;
  take_records();
  write_spe(PMBPTR_EL1, (uint64_t)buffer);
  isb();
  write_spe(PMBSR_EL1, 0);
  isb();
}

static void begin(uint64_t pmscr) {
  __builtin_memset(&seen, 0, sizeof seen);
  __builtin_memset(buffer, UNTOUCHED, sizeof buffer);
  interrupts_on();
  spe_start((uint64_t)buffer, (uint64_t)buffer + 4096, INTERVAL, pmscr | PMSCR_TS);
}

static void end(const char* where) {
  spe_stop();
  interrupts_off();
  const unsigned taken = seen.records;
  take_records();
  CHECK_EQUAL(taken, PAGE_RECORDS * seen.interrupts, "%s: each interrupt is one buffer of records",
              where);
  CHECK_EQUAL(seen.strange, 0, "%s: which is full", where);
  CHECK_EQUAL(seen.torn, 0, "%s: no record is torn", where);
  CHECK(!seen.descends && seen.last_time != 0, "%s: time goes on from buffer to buffer", where);
  unsigned touched = 0;
  for (unsigned n = 4096; n < sizeof buffer; ++n) touched += buffer[n] != UNTOUCHED;
  CHECK_EQUAL(touched, 0, "%s: nothing is written behind the buffer", where);
}

static void check_el1(void) {
  begin(PMSCR_E1SPE);
  walking_loop(ROUNDS, words);
  end("EL1");
  // Between the end of PMBSR.S and the interrupted instruction there is the driver's way back.
  enum { WAY_BACK = 300 };
  const uint64_t least = 5 * ROUNDS / (INTERVAL + 1);
  const uint64_t most = (5 * ROUNDS + (seen.interrupts + 1) * WAY_BACK) / (INTERVAL + 1);
  CHECK(seen.records >= least && seen.records <= most, "EL1: no record is lost");
  CHECK_EQUAL(seen.gaps, 0, "EL1: samples are an interval apart");
  CHECK(seen.walked > least * 2 / 5 - 200, "EL1: two in five say where they are");
  CHECK_EQUAL(seen.levels[0], 0, "EL1: no other level is sampled");
}

static void check_el0(void) {
  begin(PMSCR_E0SPE);
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
  end("EL0");
  CHECK_EQUAL(seen.records, (2 * ROUNDS + 1) / (INTERVAL + 1), "EL0: no record is lost");
  CHECK_EQUAL(seen.levels[1], 0, "EL0: the driver's own are not sampled");
}

void guest_main(void) {
  gic_start();
  set_interrupt_handler(INTID_SPE, on_buffer);
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  check_el1();
  check_el0();
  check_el1();
}
