// SPDX-License-Identifier: MIT
//
// Code that is written, changed, moved and mapped elsewhere, with the cache maintenance that the
// architecture asks for.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/paging.h"
#include "runtime/start.h"

enum { RET = 0xd65f03c0, NOP = 0xd503201f, SVC_SURVIVED = 0xd4001321, PAGES = 4 };
#define WINDOW 0x80000000u

typedef uint64_t (*function)(void);
static uint32_t code[PAGES][PAGE_BYTES / 4] __attribute__((aligned(PAGE_BYTES)));
USER_DATA static uint32_t user_code[16] __attribute__((aligned(64)));
static page_table middle, last;

/// MOVZ X0, #value
static uint32_t move(uint32_t value) {
  return 0xd2800000 | value << 5;
}
/// ADD X0, X0, #value
static uint32_t add(uint32_t value) {
  return 0x91000000 | value << 10;
}
/// B to an instruction so many further on.
static uint32_t branch(int32_t instructions) {
  return 0x14000000 | ((uint32_t)instructions & 0x3ffffff);
}
static uint64_t call(const void* at) {
  return ((function)at)();
}

static void check_rewritten(void) {
  uint32_t* at = code[0];
  bool all = true;
  for (uint32_t i = 0; i < 1000; ++i) {
    at[0] = move(i);
    at[1] = RET;
    sync_code(at, 8);
    all = all && call(at) == i;
  }
  CHECK(all, "a function that is written 1,000 times");

  for (unsigned i = 0; i < 100; ++i) at[i] = add(1);
  at[0] = move(0);
  at[100] = RET;
  sync_code(at, 404);
  CHECK_EQUAL(call(at), 99, "a hundred instructions");
  at[50] = add(100);
  sync_code(at + 50, 4);
  CHECK_EQUAL(call(at), 198, "one of them changed in the middle");
  at[60] = RET;
  sync_code(at + 60, 4);
  CHECK_EQUAL(call(at), 158, "and the end moved");
  at[1] = branch(59);
  sync_code(at + 1, 4);
  CHECK_EQUAL(call(at), 0, "and a branch over all of it");
}

static void check_middles(void) {
  uint32_t* at = code[1];
  for (unsigned i = 0; i < 64; ++i) at[i] = add(1);
  at[64] = RET;
  sync_code(at, 260);
  bool all = true;
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned i = 0; i <= 64; ++i) {
      const unsigned entry = (i * 37) % 65;
      uint64_t result;
      register uint64_t x0 __asm__("x0") = 5;
      register void* x16 __asm__("x16") = at + entry;
      __asm__ volatile("blr x16" : "+r"(x0) : "r"(x16) : "x30", "memory");
      result = x0;
      all = all && result == 5 + 64 - entry;
    }
  }
  CHECK(all, "entered at each of its instructions, in any order");
}

static void check_page_ends(void) {
  uint32_t* end = &code[1][PAGE_BYTES / 4 - 2];
  end[0] = move(1);
  end[1] = add(2);
  end[2] = add(4);
  end[3] = RET;
  sync_code(end, 16);
  CHECK_EQUAL(call(end), 7, "code across the end of a page");
  end[2] = add(8);
  sync_code(end + 2, 4);
  CHECK_EQUAL(call(end), 11, "changed behind it");
  end[1] = add(16);
  sync_code(end + 1, 4);
  CHECK_EQUAL(call(end), 25, "changed before it");
}

/// Changes the instruction that comes next.
static uint64_t change_ahead(uint32_t instruction) {
  uint64_t result;
  __asm__ volatile(
      "adr x1, 1f\n"
      "str %w1, [x1]\n"
      "dc cvau, x1\n"
      "dsb ish\n"
      "ic ivau, x1\n"
      "dsb ish\n"
      "isb\n"
      "1: mov x0, #0\n"
      "mov %0, x0\n"
      : "=r"(result)
      : "r"(instruction)
      : "x0", "x1", "memory");
  return result;
}

/// A loop without an end; the third time round it writes one over its own branch.
static uint64_t end_own_loop(void) {
  uint64_t rounds = 0;
  __asm__ volatile(
      "adr x1, 2f\n"
      "1: add %0, %0, #1\n"
      "cmp %0, #3\n"
      "b.ne 2f\n"
      "str %w1, [x1]\n"
      "dc cvau, x1\n"
      "dsb ish\n"
      "ic ivau, x1\n"
      "dsb ish\n"
      "isb\n"
      "2: b 1b\n"
      : "+r"(rounds)
      : "r"(NOP)
      : "x1", "memory", "cc");
  return rounds;
}

static void check_own_code(void) {
  bool all = true;
  for (uint32_t i = 0; i < 50; ++i) all = all && change_ahead(move(i)) == i;
  CHECK(all, "code that changes what comes next, and synchronises");
  CHECK_EQUAL(end_own_loop(), 3, "a loop that writes its own end");
}

static void check_mappings(void) {
  boot_tables[2] = (uint64_t)middle | PTE_TABLE;
  middle[0] = (uint64_t)last | PTE_TABLE;
  for (uint32_t i = 0; i < PAGES; ++i) {
    code[i][0] = move(100 + i);
    code[i][1] = RET;
  }
  sync_code(code, sizeof code);
  bool all = true;
  for (unsigned i = 0; i < 40; ++i) {
    set_entry(&last[0], (uint64_t)code[i % PAGES] | PTE_PAGE);
    all = all && call((void*)(uint64_t)WINDOW) == 100 + i % PAGES;
  }
  CHECK(all, "one address mapped to four pages of code, in turn");
  set_entry(&last[0], (uint64_t)code[0] | PTE_PAGE);
  set_entry(&last[1], (uint64_t)code[0] | PTE_PAGE);
  uint32_t* first = (uint32_t*)(uint64_t)WINDOW;
  uint32_t* second = first + PAGE_BYTES / 4;
  all = call(first) == 100 && call(second) == 100;
  code[0][0] = move(555);
  sync_code(code[0], 4);
  CHECK(all && call(first) == 555 && call(second) == 555 && call(code[0]) == 555,
        "a page at three addresses is changed at all of them");
  second[0] = move(556);
  sync_code(second, 4);
  CHECK(call(first) == 556 && call(code[0]) == 556, "whichever of them it is changed at");
  first[0] = move(557);
  __asm__ volatile("dc cvau, %0\ndsb ish\nic iallu\ndsb ish\nisb" : : "r"(first) : "memory");
  CHECK(call(first) == 557 && call(second) == 557, "IC IALLU forgets all");
  first[0] = move(558);
  __asm__ volatile("dc cvau, %0\ndsb ish\nic ialluis\ndsb ish\nisb" : : "r"(first) : "memory");
  CHECK(call(first) == 558 && call(second) == 558, "so does IC IALLUIS");
  set_entry(&last[0], (uint64_t)code[0] | PTE_PAGE | PTE_PXN);
  CHECK(expect_fault(ESR(EC_INSTRUCTION_ABORT, 0x0f), jump, first),
        "code that may no longer be executed is not");
  set_entry(&last[0], (uint64_t)code[0] | PTE_PAGE);
  CHECK_EQUAL(call(first), 558, "until it may again");
}

static void check_user_code(void) {
  bool all = true;
  for (uint32_t i = 0; i < 100; ++i) {
    user_code[0] = move(i);
    user_code[1] = SVC_SURVIVED;
    sync_code(user_code, 8);
    const struct trap trap = run_user((struct user_entry){.pc = (uint64_t)user_code});
    all = all && trap.esr == ESR(EC_SVC, USER_SURVIVED) && trap.x[0] == i;
  }
  CHECK(all, "EL1 writes code for EL0");
}

void guest_main(void) {
  check_rewritten();
  check_middles();
  check_page_ends();
  check_own_code();
  check_mappings();
  check_user_code();
}
