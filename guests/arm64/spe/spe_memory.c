// SPDX-License-Identifier: MIT
//
// Where a profiling buffer may lie, and what becomes of the records where nobody has been before,
// where RAM ends, where there is a device, and where tables change. The option demand=1: the
// hypervisor maps pages when a CPU touches them, and locks none.
#include "runtime/check.h"
#include "runtime/gic.h"
#include "runtime/paging.h"
#include "runtime/spe.h"
#include "runtime/start.h"

enum { INTERVAL = 256, BLOCK_BYTES = 2 << 20, MEMORY_BYTES = 128 << 20 };

/// Of MEMORY_BYTES of RAM, blocks that nothing else is in.
#define UNTOUCHED 0x44000000UL
#define READ_ONLY 0x44200000UL
#define BEFORE 0x44400000UL
#define AFTER 0x44600000UL
#define RAM_END (RAM + (uint64_t)MEMORY_BYTES)

/// All that a guest may know of what is wrong at stage 2: an external abort.
#define EXTERNAL_ABORT 0x90060010UL
/// Of stage 1, a permission fault at level 2.
#define NO_PERMISSION 0x9002000eUL

static uint64_t* entry_of(uint64_t address) {
  return &boot_ram_table[(address - RAM) / BLOCK_BYTES];
}
static void touch(uint64_t address) {
  *(volatile uint64_t*)address = 0;
}
static uint64_t word(uint64_t address) {
  return *(volatile uint64_t*)address;
}

static void work(unsigned rounds) {
  for (volatile unsigned n = 0; n < rounds; ++n) continue;
}

static struct {
  uint64_t syndrome, pointer;
  bool interrupts;
} end;

/// Samples into that buffer until there is an event, or for a while.
static void sample(uint64_t base, uint64_t limit) {
  spe_start(base, limit, INTERVAL, PMSCR_E1SPE);
  work(20000);
  spe_drain();
  end.syndrome = read_spe(PMBSR_EL1);
  end.pointer = read_spe(PMBPTR_EL1);
  end.interrupts = gic_pending(INTID_SPE);
  spe_stop();
  write_spe(PMBSR_EL1, 0);
  isb();
}

static void check_untouched(bool demand) {
  const uint64_t full = PMBSR_S | PMBSR_BSC_FULL, second = UNTOUCHED + PAGE_BYTES;
  sample(UNTOUCHED, second);
  CHECK_EQUAL(end.syndrome, demand ? EXTERNAL_ABORT : full, "a page where nobody has been");
  CHECK_EQUAL(end.pointer, demand ? UNTOUCHED : second, "has records if it is mapped");
  CHECK(end.interrupts, "the end of it interrupts");
  touch(UNTOUCHED);
  sample(UNTOUCHED, second + PAGE_BYTES);
  CHECK_EQUAL(end.syndrome, demand ? EXTERNAL_ABORT : full, "and one behind it");
  CHECK_EQUAL(end.pointer, demand ? second : second + PAGE_BYTES, "has them, too");
  CHECK(word(second - SPE_RECORD_BYTES) != 0, "what was written before is there");
  touch(second);
  sample(UNTOUCHED, second + PAGE_BYTES);
  CHECK_EQUAL(end.syndrome, full, "pages that were touched fill");
}

static void check_edges(void) {
  touch(RAM_END - PAGE_BYTES);
  sample(RAM_END - PAGE_BYTES, RAM_END);
  CHECK_EQUAL(end.syndrome, PMBSR_S | PMBSR_BSC_FULL, "the last page of RAM fills");
  sample(RAM_END - PAGE_BYTES, RAM_END + PAGE_BYTES);
  CHECK_EQUAL(end.syndrome, EXTERNAL_ABORT, "behind it is an external abort");
  CHECK_EQUAL(end.pointer, RAM_END, "PMBPTR_EL1 says where");
  sample(UART, UART + PAGE_BYTES);
  CHECK_EQUAL(end.syndrome, EXTERNAL_ABORT, "and so is a device");
  CHECK_EQUAL(end.pointer, UART, "which has got nothing");
}

static void check_read_only(void) {
  touch(READ_ONLY);
  const uint64_t entry = *entry_of(READ_ONLY);
  set_entry(entry_of(READ_ONLY), entry | PTE_READ_ONLY);
  sample(READ_ONLY, READ_ONLY + PAGE_BYTES);
  CHECK_EQUAL(end.syndrome, NO_PERMISSION, "what the guest may not write is a fault of stage 1");
  CHECK_EQUAL(word(READ_ONLY), 0, "nothing is written");
  set_entry(entry_of(READ_ONLY), entry);
}

/// Its tables map the buffer elsewhere while it is in use.
static void check_moves(void) {
  touch(BEFORE);
  touch(AFTER);
  const uint64_t entry = *entry_of(BEFORE);
  spe_start(BEFORE, BEFORE + PAGE_BYTES, INTERVAL, PMSCR_E1SPE);
  work(1000);
  write_spe(PMSCR_EL1, 0);
  spe_drain();
  const uint64_t between = read_spe(PMBPTR_EL1);
  set_entry(entry_of(BEFORE), entry + (AFTER - BEFORE));
  write_spe(PMSCR_EL1, PMSCR_E1SPE);
  isb();
  work(1000);
  spe_stop();
  const uint64_t syndrome = read_spe(PMBSR_EL1), pointer = read_spe(PMBPTR_EL1);
  set_entry(entry_of(BEFORE), entry);
  CHECK_EQUAL(syndrome, 0, "a buffer may move");
  CHECK(between > BEFORE && pointer > between, "and goes on");
  CHECK(word(BEFORE) != 0 && word(between) == 0, "its first records are where it was");
  CHECK(word(AFTER) == 0 && word(between + (AFTER - BEFORE)) != 0, "the next ones where it is");
}

/// As a driver at context switches: off and on again, behind what there is, for two processes.
static void check_switches(void) {
  uint64_t pointers[2] = {UNTOUCHED, AFTER};
  write_spe(PMSIRR_EL1, INTERVAL);
  for (unsigned n = 0; n < 40; ++n) {
    const unsigned process = n % 2;
    const uint64_t base = process == 0 ? UNTOUCHED : AFTER;
    write_spe(PMBPTR_EL1, pointers[process]);
    isb();
    write_spe(PMBLIMITR_EL1, (base + PAGE_BYTES) | PMBLIMITR_E);
    isb();
    write_spe(PMSCR_EL1, PMSCR_E1SPE);
    isb();
    work(60);
    write_spe(PMSCR_EL1, 0);
    isb();
    spe_drain();
    write_spe(PMBLIMITR_EL1, 0);
    isb();
    pointers[process] = read_spe(PMBPTR_EL1);
  }
  CHECK_EQUAL(read_spe(PMBSR_EL1), 0, "buffers are switched forty times");
  CHECK(pointers[0] > UNTOUCHED && pointers[1] > AFTER, "both have records");
}

void guest_main(void) {
  gic_start();
  gic_enable(INTID_SPE, PRIORITY_DEFAULT);
  check_untouched(option_number("demand", 0) != 0);
  check_edges();
  check_read_only();
  check_moves();
  check_switches();
}
