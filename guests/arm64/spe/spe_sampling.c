// SPDX-License-Identifier: MIT
//
// Statistical profiling, programmed by the guest itself: what is sampled, at which level, what
// filters leave, what the buffer does when it is full or not there, and its interrupt.
#include "../pmu/measured.h"
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/paging.h"
#include "runtime/spe.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { BUFFER_BYTES = 64 * 1024, INTERVAL = 256, ROUNDS = 40000 };

static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint64_t words[64];

/// A loop of five instructions: a load, a store, an addition, SUBS and B.NE.
void spe_loop(uint64_t rounds, uint64_t* data);
extern const char spe_loop_begin[], spe_loop_end[];
__asm__(
    ".text\n.global spe_loop, spe_loop_begin, spe_loop_end\n"
    "spe_loop:\nspe_loop_begin:\n"
    "1: ldr x2, [x1]\nstr x2, [x1, #8]\nadd x3, x3, #1\nsubs x0, x0, #1\nb.ne 1b\n"
    "spe_loop_end:\nret\n");

static uint64_t base(void) {
  return (uint64_t)buffer;
}
static uint64_t limit(void) {
  return base() + BUFFER_BYTES;
}
static void clear(void) {
  for (unsigned n = 0; n < BUFFER_BYTES; ++n) buffer[n] = 0;
}
static uint64_t address_of(uint64_t pc) {
  return pc & ~(0xffULL << 56);
}

static struct {
  unsigned records, broken, outside, loads, stores, branches, others, levels[2];
  uint64_t last_timestamp;
  bool times_ascend;
} seen;

static void look(void) {
  const uint8_t* at = buffer;
  const uint8_t* end = (const uint8_t*)read_spe(PMBPTR_EL1);
  __builtin_memset(&seen, 0, sizeof seen);
  seen.times_ascend = true;
  while (at < end) {
    struct spe_record record;
    at = spe_parse(at, end, &record);
    if (at == NULL) {
      ++seen.broken;
      return;
    }
    ++seen.records;
    ++seen.levels[record.pc >> 61 & 1];
    const uint64_t pc = address_of(record.pc);
    const bool inside = pc >= (uint64_t)spe_loop_begin && pc < (uint64_t)spe_loop_end;
    if (!inside) ++seen.outside;
    if (record.type == 0x48) ++seen.others;
    if (record.type == 0x4a) ++seen.branches;
    if (record.type == 0x49 && record.payload == 0) ++seen.loads;
    if (record.type == 0x49 && record.payload == 1) ++seen.stores;
    if (inside && record.type == 0x49) {
      const uint64_t wanted = (uint64_t)words + (record.payload == 1 ? 8 : 0);
      if (address_of(record.address) != wanted) ++seen.broken;
    }
    if (record.timestamp < seen.last_timestamp) seen.times_ascend = false;
    seen.last_timestamp = record.timestamp;
  }
}

static void check_identity(void) {
  const uint64_t version = read_sysreg(id_aa64dfr0_el1) >> 32 & 0xf;
  const uint64_t pmbidr = read_spe(PMBIDR_EL1), pmsidr = read_spe(PMSIDR_EL1);
  CHECK(version >= 1 && version <= 3, "PMSVer says that there is SPE");
  CHECK_EQUAL(pmbidr >> 4 & 1, 0, "it may be programmed");
  CHECK_EQUAL(pmsidr & 7, 7, "it filters by events, type and latency");
  CHECK_EQUAL(pmsidr >> 8 & 0xf, 4, "intervals of 1024 are recommended");
  write_spe(PMBLIMITR_EL1, ~1ULL);
  isb();
  CHECK_EQUAL(read_spe(PMBLIMITR_EL1) & 0xfff & ~0x26ULL, 0, "PMBLIMITR_EL1 keeps no other bits");
  write_spe(PMBLIMITR_EL1, 0);
  write_spe(PMSIRR_EL1, ~0ULL);
  CHECK_EQUAL(read_spe(PMSIRR_EL1), 0xffffff01, "nor PMSIRR_EL1");
  write_spe(PMSIRR_EL1, 0);
}

static void check_sampling(void) {
  clear();
  spe_start(base(), limit(), INTERVAL, PMSCR_E1SPE | PMSCR_TS);
  spe_loop(ROUNDS, words);
  spe_stop();
  look();
  // One in 257, and a few instructions around the loop.
  const unsigned expected = 5 * ROUNDS / (INTERVAL + 1);
  CHECK_EQUAL(seen.records, expected, "one operation in 257 is sampled");
  CHECK_EQUAL(seen.broken, 0, "records are whole, addresses are those that were accessed");
  CHECK_EQUAL(seen.outside, 0, "program counters are in the loop");
  CHECK_EQUAL(seen.loads + seen.stores + seen.branches + seen.others, seen.records, "of known types");
  CHECK(seen.loads + 2 > expected / 5 && seen.loads < expected / 5 + 2, "a fifth are loads");
  CHECK(seen.stores + 2 > expected / 5 && seen.stores < expected / 5 + 2, "a fifth are stores");
  CHECK(seen.branches + 2 > expected / 5 && seen.branches < expected / 5 + 2, "a fifth are branches");
  CHECK(seen.times_ascend && seen.last_timestamp != 0, "timestamps ascend");
  CHECK_EQUAL(seen.levels[0], 0, "nothing of EL0");
  CHECK_EQUAL(read_spe(PMBSR_EL1), 0, "nothing happened to the buffer");

  write_spe(PMSFCR_EL1, PMSFCR_FT | PMSFCR_LD);
  clear();
  spe_start(base(), limit(), INTERVAL, PMSCR_E1SPE | PMSCR_TS);
  spe_loop(ROUNDS, words);
  spe_stop();
  write_spe(PMSFCR_EL1, 0);
  look();
  CHECK(seen.loads > 100, "a filter lets loads pass");
  CHECK_EQUAL(seen.loads, seen.records, "and nothing else");
}

static void check_levels(void) {
  clear();
  spe_start(base(), limit(), INTERVAL, PMSCR_E0SPE | PMSCR_TS);
  spe_loop(ROUNDS, words);
  spe_drain();
  CHECK_EQUAL(read_spe(PMBPTR_EL1), base(), "with E0SPE nothing of EL1 is sampled");
  run_user((struct user_entry){.pc = (uint64_t)user_branch_loop, .x0 = ROUNDS});
  spe_stop();
  look();
  CHECK_EQUAL(seen.records, (2 * ROUNDS + 1) / (INTERVAL + 1), "EL0's operations are");
  CHECK_EQUAL(seen.levels[1], 0, "and only those");
}

static volatile unsigned interrupts;
static volatile uint64_t syndrome;
static void on_buffer(unsigned intid) {
  (void)intid;
  ++interrupts;
  syndrome = read_spe(PMBSR_EL1);
  // Once it is left as it is: a level interrupts again.
  if (interrupts == 1) return;
  write_spe(PMBSR_EL1, 0);
  isb();
}

static void check_buffer(void) {
  set_interrupt_handler(INTID_SPE, on_buffer);
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  clear();
  interrupts = 0;
  write_spe(PMBSR_EL1, 0x10065678);
  interrupts_on();
  isb();
  interrupts_off();
  CHECK_EQUAL(interrupts, 2, "a written PMBSR.S interrupts until it is cleared");
  CHECK_EQUAL(syndrome, 0x10065678, "PMBSR_EL1 keeps what was written");

  interrupts = 0;
  spe_start(base(), base() + PAGE_BYTES, INTERVAL, PMSCR_E1SPE);
  spe_loop(ROUNDS, words);
  spe_drain();
  const uint64_t stopped = read_spe(PMBSR_EL1), pointer = read_spe(PMBPTR_EL1);
  CHECK_EQUAL(stopped, PMBSR_S | PMBSR_BSC_FULL, "a full buffer stops profiling");
  CHECK(pointer > base() + PAGE_BYTES - SPE_RECORD_BYTES && pointer <= base() + PAGE_BYTES,
        "when there is no room for one more record");
  CHECK(gic_pending(INTID_SPE), "and interrupts");
  spe_stop();
  look();
  CHECK_EQUAL(seen.records, PAGE_BYTES / SPE_RECORD_BYTES, "it has all the records that fit");
  CHECK_EQUAL(buffer[PAGE_BYTES], 0, "nothing is behind it");
  interrupts_on();
  isb();
  interrupts_off();
  write_spe(PMBSR_EL1, 0);
}

static void check_faults(void) {
  // 2 MiB that the boot map has not got, at the end of what it has.
  const uint64_t nowhere = 0x7fe00000000ULL & ((1ULL << 38) - 1) & ~(uint64_t)(PAGE_BYTES - 1);
  spe_start(nowhere, nowhere + PAGE_BYTES, INTERVAL, PMSCR_E1SPE);
  spe_loop(1000, words);
  spe_drain();
  const uint64_t unmapped = read_spe(PMBSR_EL1);
  CHECK_EQUAL(PMBSR_EC(unmapped), EC_STAGE1, "a buffer that is not mapped is a fault of stage 1");
  CHECK(unmapped & PMBSR_S, "which stops profiling");
  CHECK((unmapped & 0x3c) == 4, "a translation fault");
  CHECK_EQUAL(read_spe(PMBPTR_EL1), nowhere, "PMBPTR_EL1 is where");
  spe_stop();
  write_spe(PMBSR_EL1, 0);
}

void guest_main(void) {
  const bool there = (read_sysreg(id_aa64dfr0_el1) >> 32 & 0xf) != 0;
  if (option_number("spe", 1) == 0) {
    CHECK(!there, "there is no SPE");
    return;
  }
  CHECK(there, "there is SPE");
  if (!there) return;
  gic_start();
  check_identity();
  check_sampling();
  check_levels();
  check_buffer();
  check_faults();
}
