// SPDX-License-Identifier: MIT
#include "apic.h"

#include "cpu.h"

enum { APIC_BASE = 0xfee00000, APIC_BASE_ENABLE = 1 << 11, APIC_BASE_X2APIC = 1 << 10 };

static bool x2apic;

bool apic_has_x2apic(void) {
  return (cpuid(1, 0).ecx >> 21 & 1) != 0;
}
bool apic_is_x2apic(void) {
  return x2apic;
}

void apic_start(void) {
  // The 8259s stay silent; a boot loader may have left them open.
  outb(0x21, 0xff);
  outb(0xa1, 0xff);
  wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
  if (x2apic) wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
  apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

void apic_use_x2apic(void) {
  x2apic = true;
  apic_start();
}

uint32_t apic_read(uint32_t reg) {
  if (x2apic) return (uint32_t)rdmsr(0x800 + (reg >> 4));
  return *(volatile uint32_t*)(uint64_t)(APIC_BASE + reg);
}

void apic_write(uint32_t reg, uint32_t value) {
  if (x2apic) {
    wrmsr(0x800 + (reg >> 4), value);
  } else {
    *(volatile uint32_t*)(uint64_t)(APIC_BASE + reg) = value;
  }
}

uint32_t apic_id(void) {
  return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void) {
  apic_write(APIC_EOI, 0);
}

void apic_send(uint32_t command, uint32_t destination) {
  if (x2apic) {
    wrmsr(0x800 + (APIC_ICR >> 4), (uint64_t)destination << 32 | command);
    return;
  }
  apic_write(APIC_ICR_HIGH, destination << 24);
  apic_write(APIC_ICR, command);
  while ((apic_read(APIC_ICR) & LVT_PENDING) != 0) pause();
}
