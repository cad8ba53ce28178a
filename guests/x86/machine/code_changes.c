// SPDX-License-Identifier: MIT
//
// Code that is written while it runs: by itself, one byte ahead, through another mapping, across
// pages, and by another CPU.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/paging.h"
#include "runtime/smp.h"
#include "runtime/start.h"

#define ALIAS 0x8000000000ULL

static uint8_t code[3 * 4096] __attribute__((aligned(4096)));
typedef uint32_t (*function)(void);

/// MOV EAX, value; RET
static void put_function(volatile uint8_t* at, uint32_t value) {
  at[0] = 0xb8;
  *(volatile uint32_t*)(at + 1) = value;
  at[5] = 0xc3;
}

static void check_rewriting(void) {
  const function run = (function)(uint64_t)code;
  unsigned wrong = 0;
  for (uint32_t i = 0; i < 1000; ++i) {
    put_function(code, i);
    wrong += run() != i;
  }
  CHECK_EQUAL(wrong, 0, "a function rewritten 1,000 times always returns its newest value");

  put_function(code + 4093, 0x01020304);  // three bytes here, three on the next page
  const function across = (function)(uint64_t)(code + 4093);
  const bool first = across() == 0x01020304;
  code[4096] = 0x77;  // the value's third byte
  CHECK(first && across() == 0x01770304, "so does one that lies on two pages");

  page_map(ALIAS, (uint64_t)code, PAGE_PRESENT | PAGE_WRITE, LEVEL_4K);
  put_function(code, 1);
  const bool before = run() == 1;
  *(volatile uint8_t*)(ALIAS + 1) = 2;
  CHECK(before && run() == 2, "a write through another mapping changes the code");
  const function alias = (function)ALIAS;
  *(volatile uint8_t*)(code + 1) = 3;
  CHECK(alias() == 3 && run() == 3, "and the other way round");
}

static __attribute__((noinline, noclone)) uint32_t change_ahead(void) {
  // The MOV's constant is overwritten by the instruction right before it.
  uint32_t result;
  __asm__ volatile(
      "lea change_ahead_mov(%%rip), %%rcx\n"
      "movl $0x22222222, 1(%%rcx)\n"
      "change_ahead_mov: .byte 0xb8\n.long 0x11111111\n"
      : "=a"(result)
      :
      : "rcx", "memory");
  return result;
}

static __attribute__((noinline, noclone)) uint32_t change_in_loop(void) {
  // INC EAX becomes DEC EAX at the fifth pass of ten: 5 up (the store comes after), then 5 down.
  uint32_t result;
  __asm__ volatile(
      "xor %%eax, %%eax\n"
      "mov $10, %%ecx\n"
      "lea change_in_loop_inc(%%rip), %%rdx\n"
      "1:\n"
      "change_in_loop_inc: .byte 0xff, 0xc0\n"
      "cmp $6, %%ecx\n"
      "jne 2f\n"
      "movb $0xc8, 1(%%rdx)\n"
      "2: loop 1b\n"
      : "=a"(result)
      :
      : "rcx", "rdx", "memory", "cc");
  return result;
}

static void check_changing_itself(void) {
  CHECK_EQUAL(change_ahead(), 0x22222222, "an instruction changes the next one");
  CHECK_EQUAL(change_in_loop(), 0, "a loop changes itself while it runs");
}

static void check_string_stores(void) {
  const function run = (function)(uint64_t)code;
  uint8_t image[6];
  put_function(image, 0xabcdef);
  put_function(code, 5);
  const bool before = run() == 5;
  const void* from = image;
  void* to = code;
  uint64_t bytes = sizeof image;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(bytes) : : "memory");
  CHECK(before && run() == 0xabcdef, "REP MOVSB into code takes effect");
}

static volatile uint32_t phase;
static void other_cpu(void* unused) {
  (void)unused;
  const function run = (function)(uint64_t)code;
  for (uint32_t expected = 1; expected <= 100; ++expected) {
    while (run() < expected) pause();
    phase = expected;
  }
}

static void check_other_cpu(void) {
  if (smp_cpus() < 2) {
    check_skip("code changed by another CPU (needs --smp 2)");
    return;
  }
  put_function(code, 0);
  smp_start();
  smp_run(1, other_cpu, 0);
  for (uint32_t value = 1; value <= 100; ++value) {
    *(volatile uint32_t*)(code + 1) = value;
    while (phase < value) pause();
  }
  smp_wait(1);
  CHECK(phase == 100, "another CPU sees 100 changes of a function that it keeps calling");
}

void guest_main(void) {
  check_rewriting();
  page_map(ALIAS + 0x200000, 0, PAGE_PRESENT, LEVEL_2M);  // more tables, code still found
  check_changing_itself();
  check_string_stores();
  check_other_cpu();
}
