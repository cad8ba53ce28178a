// SPDX-License-Identifier: MIT
//
// String instructions: all sizes and directions, and what registers say when one faults or is
// interrupted in the middle.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/paging.h"
#include "runtime/start.h"
#include "runtime/traps.h"

#define AREA 0x8000000000ULL  // one page, the next is not mapped
#define ATTEMPT static __attribute__((noinline, noclone)) void

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t source[8192];
enum { VECTOR_TIMER = 0x71 };

static void fill(void) {
  for (unsigned i = 0; i < sizeof source; ++i) source[i] = (uint8_t)(i * 7 + 1);
  for (unsigned i = 0; i < sizeof page; ++i) page[i] = 0;
}

static void check_moves(void) {
  fill();
  const void* from = source;
  void* to = page;
  uint64_t count = 100;
  __asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  CHECK(count == 0 && from == source + 800 && to == page + 800 && page[799] == source[799] &&
            page[800] == 0,
        "REP MOVSQ moves RCX quadwords and advances");
  from = source + 99;
  to = page + 99;
  count = 50;
  __asm__ volatile("std\nrep movsb\ncld" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  CHECK(count == 0 && from == source + 49 && to == page + 49, "with DF it goes down");
  // Overlapping, one byte apart: the first byte spreads.
  page[0] = 0x5a;
  from = page;
  to = page + 1;
  count = 63;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  CHECK(page[63] == 0x5a && page[64] == source[64], "overlapping REP MOVSB goes byte by byte");
  count = 0;
  from = 0;
  to = 0;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  CHECK(from == 0 && to == 0, "with RCX = 0 REP MOVSB touches nothing, not even address 0");
  uint32_t count32 = 4;
  to = page;
  __asm__ volatile("rep stosl" : "+D"(to), "+c"(count32) : "a"(0x01020304) : "memory");
  CHECK(to == page + 16 && page[0] == 4 && page[15] == 1 && page[16] == 0x5a, "REP STOSD fills");
}

static void check_searches(void) {
  fill();
  const void* at = source;
  uint64_t count = 1000;
  uint8_t found;
  __asm__ volatile("repne scasb\nsetz %2"
                   : "+D"(at), "+c"(count), "=q"(found)
                   : "a"(source[10])
                   : "memory", "cc");
  CHECK(found && at == source + 11 && count == 989, "REPNE SCASB stops behind the byte");
  for (unsigned i = 0; i < 100; ++i) page[i] = source[i];
  page[42] ^= 1;
  const void* a = source;
  const void* b = page;
  count = 100;
  __asm__ volatile("repe cmpsb\nsetz %3"
                   : "+S"(a), "+D"(b), "+c"(count), "=q"(found)
                   :
                   : "memory", "cc");
  CHECK(!found && a == source + 43 && b == page + 43 && count == 57,
        "REPE CMPSB stops at a difference");
}

ATTEMPT move_into_nothing(void* unused) {
  (void)unused;
  __asm__ volatile("rep movsb" : : "S"(source), "D"(AREA + 4096 - 100), "c"(200ULL) : "memory");
}
ATTEMPT move_words_into_nothing(void* unused) {
  (void)unused;
  __asm__ volatile("rep movsl" : : "S"(source), "D"(AREA + 4096 - 102), "c"(50ULL) : "memory");
}

static void check_faults(void) {
  fill();
  page_map(AREA, (uint64_t)page, PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  struct trap trap = guard(move_into_nothing, 0);
  CHECK(trap.vector == VECTOR_PF && trap.error == 2 && trap.cr2 == AREA + 4096,
        "REP MOVSB faults at the first byte of the next page");
  CHECK(trap.rcx == 100 && trap.rsi == (uint64_t)source + 100 && trap.rdi == AREA + 4096,
        "with RCX, RSI and RDI telling how far it came");
  CHECK(page[4095] == source[99], "and what was before is done");
  trap = guard(move_words_into_nothing, 0);
  CHECK(trap.vector == VECTOR_PF && trap.rcx == 25 && trap.rdi == AREA + 4096 - 2 &&
            trap.cr2 == AREA + 4096,
        "REP MOVSD does not do half a doubleword");
}

static volatile unsigned interruptions;
static volatile uint64_t remaining;
static void on_timer(struct trap* frame) {
  ++interruptions;
  remaining = frame->rcx;
  apic_eoi();
}

static void check_interruption(void) {
  // 64 MiB in all, onto one page's worth of memory: long enough for a tick.
  apic_start();
  set_handler(VECTOR_TIMER, on_timer);
  apic_write(APIC_TIMER_DIVIDE, 0xb);
  apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
  bool interrupted = false;
  static uint8_t large[1 << 20];
  for (unsigned attempt = 0; attempt < 20 && !interrupted; ++attempt) {
    interruptions = 0;
    remaining = 0;
    void* to = large;
    uint64_t count = sizeof large;
    apic_write(APIC_TIMER_INITIAL, 2000);
    __asm__ volatile("sti\nrep stosb\ncli" : "+D"(to), "+c"(count) : "a"(attempt + 1) : "memory");
    interrupted = interruptions == 1 && remaining > 0 && remaining < sizeof large;
    bool filled = count == 0 && to == large + sizeof large;
    for (unsigned i = 0; i < sizeof large; i += 4099) filled = filled && large[i] == attempt + 1;
    if (!filled) {
      CHECK(false, "REP STOSB fills everything");
      return;
    }
    while (interruptions == 0) sti_hlt_cli();
  }
  CHECK(interrupted, "an interrupt in the middle of REP STOSB finds RCX half-way, then it goes on");
}

void guest_main(void) {
  check_moves();
  check_searches();
  check_faults();
  check_interruption();
}
