// SPDX-License-Identifier: MIT
//
// Instructions that C has no words for. Spelled as in the manual.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A system register by its name in assembly: read_sysreg(sctlr_el1), read_sysreg(s3_0_c9_c14_6).
#define read_sysreg(name)                                           \
  ({                                                                \
    uint64_t value_;                                                \
    __asm__ volatile("mrs %0, " #name : "=r"(value_) : : "memory"); \
    value_;                                                         \
  })
#define write_sysreg(name, value) \
  __asm__ volatile("msr " #name ", %x0" : : "rZ"((uint64_t)(value)) : "memory")

static inline void isb(void) {
  __asm__ volatile("isb" : : : "memory");
}
static inline void dsb(void) {
  __asm__ volatile("dsb sy" : : : "memory");
}
static inline void wfi(void) {
  __asm__ volatile("wfi" : : : "memory");
}
static inline void wfe(void) {
  __asm__ volatile("wfe" : : : "memory");
}
static inline void sev(void) {
  __asm__ volatile("sev" : : : "memory");
}
static inline void pause(void) {
  __asm__ volatile("yield" : : : "memory");
}
/// IRQs only.
static inline void interrupts_on(void) {
  __asm__ volatile("msr daifclr, #2" : : : "memory");
}
static inline void interrupts_off(void) {
  __asm__ volatile("msr daifset, #2" : : : "memory");
}

static inline uint32_t read32(uint64_t address) {
  uint32_t value;
  __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
static inline void write32(uint64_t address, uint32_t value) {
  __asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}
static inline uint64_t read64(uint64_t address) {
  uint64_t value;
  __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
static inline void write64(uint64_t address, uint64_t value) {
  __asm__ volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
}

/// 0 is the one that booted.
static inline unsigned current_cpu(void) {
  return read_sysreg(mpidr_el1) & 0xff;
}

/// Makes new or changed instructions seen by this CPU, and their bytes by all.
static inline void sync_code(const void* start, size_t bytes) {
  const uint64_t ctr = read_sysreg(ctr_el0);
  const uint64_t data = 4ULL << (ctr >> 16 & 15);
  const uint64_t code = 4ULL << (ctr & 15);
  const uint64_t from = (uint64_t)start;
  for (uint64_t a = from & ~(data - 1); a < from + bytes; a += data) {
    __asm__ volatile("dc cvau, %0" : : "r"(a) : "memory");
  }
  __asm__ volatile("dsb ish" : : : "memory");
  for (uint64_t a = from & ~(code - 1); a < from + bytes; a += code) {
    __asm__ volatile("ic ivau, %0" : : "r"(a) : "memory");
  }
  __asm__ volatile("dsb ish\nisb" : : : "memory");
}

/// Forgets every translation of this CPU.
static inline void tlbi_all(void) {
  __asm__ volatile("dsb ishst\ntlbi vmalle1\ndsb ish\nisb" : : : "memory");
}

enum {
  SCTLR_M = 1 << 0,
  SCTLR_A = 1 << 1,
  SCTLR_C = 1 << 2,
  SCTLR_SA = 1 << 3,
  SCTLR_SA0 = 1 << 4,
  SCTLR_UMA = 1 << 9,
  SCTLR_DZE = 1 << 14,
  SCTLR_UCT = 1 << 15,
  SCTLR_NTWI = 1 << 16,
  SCTLR_NTWE = 1 << 18,
  SCTLR_WXN = 1 << 19,
  SCTLR_SPAN = 1 << 23,
  SCTLR_UCI = 1 << 26,
};
