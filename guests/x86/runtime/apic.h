// SPDX-License-Identifier: MIT
//
// The local APIC, through MMIO or, after apic_use_x2apic(), through MSRs. Registers are named by
// their xAPIC offset.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
  APIC_ID = 0x20,
  APIC_VERSION = 0x30,
  APIC_TPR = 0x80,
  APIC_PPR = 0xa0,
  APIC_EOI = 0xb0,
  APIC_LDR = 0xd0,
  APIC_SPURIOUS = 0xf0,
  APIC_ISR = 0x100,
  APIC_TMR = 0x180,
  APIC_IRR = 0x200,
  APIC_ERROR = 0x280,
  APIC_ICR = 0x300,
  APIC_ICR_HIGH = 0x310,
  APIC_LVT_TIMER = 0x320,
  APIC_LVT_PERFORMANCE = 0x340,
  APIC_LVT_LINT0 = 0x350,
  APIC_LVT_LINT1 = 0x360,
  APIC_TIMER_INITIAL = 0x380,
  APIC_TIMER_CURRENT = 0x390,
  APIC_TIMER_DIVIDE = 0x3e0,
};
enum {
  LVT_NMI = 4 << 8,
  LVT_PENDING = 1 << 12,
  LVT_MASKED = 1 << 16,
  LVT_PERIODIC = 1 << 17,
  LVT_TSC_DEADLINE = 2 << 17,
  ICR_NMI = 4 << 8,
  ICR_INIT = 5 << 8,
  ICR_STARTUP = 6 << 8,
  ICR_ASSERT = 1 << 14,
  ICR_SELF = 1 << 18,
  ICR_ALL = 2 << 18,
  ICR_ALL_BUT_SELF = 3 << 18,
  VECTOR_SPURIOUS = 0xff,
};

/// Enables the local APIC of this CPU (spurious vector 0xff). In the mode the others use.
void apic_start(void);
bool apic_has_x2apic(void);
/// For this CPU now; CPUs that start later follow.
void apic_use_x2apic(void);
bool apic_is_x2apic(void);

uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
uint32_t apic_id(void);
void apic_eoi(void);
/// `command`: low half of the ICR; waits until it was sent.
void apic_send(uint32_t command, uint32_t destination);
