// SPDX-License-Identifier: MIT
#include "runtime32.h"

struct gate {
  uint16_t offset_low, selector;
  uint8_t zero, type;
  uint16_t offset_high;
};

extern char fault_ud32[], fault_gp32[], interrupt32[];
void runtime32_start(void);
void on_interrupt32(void);

void (*volatile interrupt_handler32)(void);
static struct gate idt[256];
static unsigned passed_count, failed_count;

static void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static void out32(uint16_t port, uint32_t value) {
  __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

void print32(const char* text) {
  for (; *text != 0; ++text) out8(0x3f8, (uint8_t)*text);
}

void print32_number(uint64_t number) {
  char digits[17];
  unsigned at = 16;
  digits[16] = 0;
  do {
    digits[--at] = "0123456789abcdef"[number & 15];
    number >>= 4;
  } while (number != 0);
  print32("0x");
  print32(digits + at);
}

void check32(bool passed, const char* sentence) {
  ++*(passed ? &passed_count : &failed_count);
  print32(passed ? "PASS: " : "FAIL: ");
  print32(sentence);
  print32("\n");
}

void check32_equal(uint64_t actual, uint64_t expected, const char* sentence) {
  check32(actual == expected, sentence);
  if (actual == expected) return;
  print32("      is ");
  print32_number(actual);
  print32(", should be ");
  print32_number(expected);
  print32("\n");
}

static void set_gate(unsigned vector, const char* target) {
  const uint32_t offset = (uint32_t)target;
  idt[vector] = (struct gate){.offset_low = (uint16_t)offset,
                              .selector = 0x08,  // the boot loader's
                              .type = 0x8e,
                              .offset_high = (uint16_t)(offset >> 16)};
}

void on_interrupt32(void) {
  if (interrupt_handler32 != 0) interrupt_handler32();
  apic32_write(0xb0, 0);  // end of interrupt
}

void apic32_start(void) {
  apic32_write(0xf0, 0x1ff);  // spurious vector, and enable
}

/// In decimal: there is no division of 64 bits here.
static void print_count(unsigned count) {
  if (count >= 10) print_count(count / 10);
  const char digit[2] = {(char)('0' + count % 10), 0};
  print32(digit);
}

void runtime32_start(void) {
  set_gate(FAULT_UD32, fault_ud32);
  set_gate(FAULT_GP32, fault_gp32);
  set_gate(VECTOR_INTERRUPT32, interrupt32);
  const struct __attribute__((packed)) {
    uint16_t limit;
    uint32_t base;
  } pointer = {sizeof idt - 1, (uint32_t)idt};
  __asm__ volatile("lidt %0" : : "m"(pointer));
  out8(0x21, 0xff);  // the 8259s stay silent
  out8(0xa1, 0xff);
  guest_main32();
  print32("SUMMARY: ");
  print_count(passed_count);
  print32(" passed, ");
  print_count(failed_count);
  print32(" failed\n");
  out32(0xf4, failed_count == 0 && passed_count != 0 ? 0 : 1);
}
