// SPDX-License-Identifier: MIT
//
// What a guest has that stays in 32-bit protected mode: checks that are printed on COM1, an end,
// faults that are survived, one interrupt, the local APIC. One CPU. There is no more to it than a
// small kernel starts with.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// The guest. Interrupts are off. Returning ends it: exit value 0 if all checks passed.
void guest_main32(void);

void print32(const char* text);
void print32_number(uint64_t number);  ///< hexadecimal
/// Prints PASS or FAIL and the sentence.
void check32(bool passed, const char* sentence);
/// And, if they differ, both.
void check32_equal(uint64_t actual, uint64_t expected, const char* sentence);

enum { NO_FAULT32 = 0xff, FAULT_UD32 = 6, FAULT_GP32 = 13 };
/// Calls function(): NO_FAULT32, or the fault that ended it.
unsigned faults32(void (*function)(void));

enum { VECTOR_INTERRUPT32 = 0x60 };
/// What VECTOR_INTERRUPT32 calls.
extern void (*volatile interrupt_handler32)(void);
/// The local APIC, enabled; registers by their offset.
void apic32_start(void);
static inline void apic32_write(uint32_t offset, uint32_t value) {
  *(volatile uint32_t*)(0xfee00000u + offset) = value;
}
static inline uint32_t apic32_read(uint32_t offset) {
  return *(volatile uint32_t*)(0xfee00000u + offset);
}
/// Interrupts that wait are taken.
static inline void interrupts32(void) {
  __asm__ volatile("sti; nop; cli" : : : "memory");
}
