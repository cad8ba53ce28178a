// SPDX-License-Identifier: MIT
//
// GICv3: distributor, this CPU's redistributor and CPU interface, all interrupts in group 1.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "traps.h"

enum {
  INTID_PMU = 23,
  INTID_VIRTUAL_TIMER = 27,
  INTID_PHYSICAL_TIMER = 30,
  INTID_FIRST_SPI = 32,
  INTID_NONE = 1023,
};
enum {
  GICD_CTLR = 0x000,
  GICD_TYPER = 0x004,
  GICD_IROUTER = 0x6000,  // 64 bits each
  GICR_TYPER = 0x008,
  GICR_WAKER = 0x014,
  GICR_SGI = 0x10000,  // the second frame: the same registers for SGIs and PPIs
  GIC_IGROUPR = 0x080,
  GIC_ISENABLER = 0x100,
  GIC_ICENABLER = 0x180,
  GIC_ISPENDR = 0x200,
  GIC_ICPENDR = 0x280,
  GIC_ISACTIVER = 0x300,
  GIC_ICACTIVER = 0x380,
  GIC_IPRIORITYR = 0x400,
  GIC_ICFGR = 0xc00,
};
enum { GICD_CTLR_GROUP1 = 1 << 1, GICD_CTLR_ARE = 1 << 4, GICD_CTLR_DS = 1 << 6 };
enum { PRIORITY_DEFAULT = 0x80 };

typedef void (*interrupt_handler)(unsigned intid);

/// Once per CPU: takes every priority, nothing is enabled. Handlers run with interrupts off,
/// between acknowledge and end of interrupt.
void gic_start(void);
/// For all CPUs; null takes it away.
void set_interrupt_handler(unsigned intid, interrupt_handler handler);
/// SGIs and PPIs of this CPU; SPIs go to this CPU.
void gic_enable(unsigned intid, uint8_t priority);
void gic_disable(unsigned intid);
void gic_set_pending(unsigned intid, bool pending);
bool gic_pending(unsigned intid);
bool gic_active(unsigned intid);
/// To one CPU by its number.
void gic_send_sgi(unsigned intid, unsigned cpu);
/// Where the registers of an interrupt are: add GIC_*.
uint64_t gic_frame(unsigned intid);
/// The frame that was interrupted by the interrupt that is being handled on this CPU.
struct trap* interrupted(void);
