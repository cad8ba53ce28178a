// SPDX-License-Identifier: MIT
//
// Instructions that C has no words for. Spelled as in the manual.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t value) {
  __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t value) {
  __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t inb(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline uint32_t inl(uint16_t port) {
  uint32_t value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static inline uint64_t rdmsr(uint32_t msr) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
  return (uint64_t)high << 32 | low;
}
static inline void wrmsr(uint32_t msr, uint64_t value) {
  __asm__ volatile("wrmsr"
                   :
                   : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
                   : "memory");
}
static inline uint64_t rdpmc(uint32_t index) {
  uint32_t low, high;
  __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index) : "memory");
  return (uint64_t)high << 32 | low;
}
static inline uint64_t rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (uint64_t)high << 32 | low;
}

struct cpuid {
  uint32_t eax, ebx, ecx, edx;
};
static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf) {
  struct cpuid r;
  __asm__ volatile("cpuid"
                   : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                   : "a"(leaf), "c"(subleaf));
  return r;
}

#define DEFINE_CONTROL_REGISTER(name)                                   \
  static inline uint64_t read_##name(void) {                            \
    uint64_t value;                                                     \
    __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
    return value;                                                       \
  }                                                                     \
  static inline void write_##name(uint64_t value) {                     \
    __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");     \
  }
DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)
DEFINE_CONTROL_REGISTER(cr8)

static inline uint64_t read_rflags(void) {
  uint64_t value;
  __asm__ volatile("pushfq; popq %0" : "=r"(value) : : "memory");
  return value;
}
static inline void cli(void) {
  __asm__ volatile("cli" : : : "memory");
}
static inline void sti(void) {
  __asm__ volatile("sti" : : : "memory");
}
/// STI's shadow covers the HLT: no interrupt can come between the two and leave us asleep.
static inline void sti_hlt_cli(void) {
  __asm__ volatile("sti; hlt; cli" : : : "memory");
}
static inline void pause(void) {
  __asm__ volatile("pause" : : : "memory");
}
static inline void invlpg(const void* address) {
  __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

enum {
  RFLAGS_CF = 1 << 0,
  RFLAGS_FIXED = 1 << 1,
  RFLAGS_ZF = 1 << 6,
  RFLAGS_TF = 1 << 8,
  RFLAGS_IF = 1 << 9,
  RFLAGS_DF = 1 << 10,
  RFLAGS_AC = 1 << 18,
  CR0_MP = 1 << 1,
  CR0_EM = 1 << 2,
  CR0_TS = 1 << 3,
  CR0_WP = 1 << 16,
  CR0_AM = 1 << 18,
  CR4_PCE = 1 << 8,
  CR4_OSFXSR = 1 << 9,
  CR4_FSGSBASE = 1 << 16,
  CR4_SMEP = 1 << 20,
  CR4_SMAP = 1 << 21,
  EFER_SCE = 1 << 0,
};
enum {
  MSR_TSC = 0x10,
  MSR_APIC_BASE = 0x1b,
  MSR_SYSENTER_CS = 0x174,
  MSR_SYSENTER_ESP = 0x175,
  MSR_SYSENTER_EIP = 0x176,
  MSR_TSC_DEADLINE = 0x6e0,
  MSR_EFER = 0xc0000080,
  MSR_STAR = 0xc0000081,
  MSR_LSTAR = 0xc0000082,
  MSR_SFMASK = 0xc0000084,
  MSR_FS_BASE = 0xc0000100,
  MSR_GS_BASE = 0xc0000101,
  MSR_KERNEL_GS_BASE = 0xc0000102,
};
