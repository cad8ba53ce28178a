// SPDX-License-Identifier: MIT
//
// PMUv3 of this CPU. What the guests rely on, to the instruction: the MSR to PMCR_EL0 that starts
// the counters is counted, the one that stops them is not.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

/// Event numbers, Arm ARM D13.12 (common events).
enum pmu_event {
  EVENT_SW_INCR = 0x00,
  EVENT_L1I_CACHE_REFILL = 0x01,
  EVENT_L1I_TLB_REFILL = 0x02,
  EVENT_L1D_CACHE_REFILL = 0x03,
  EVENT_L1D_CACHE = 0x04,
  EVENT_L1D_TLB_REFILL = 0x05,
  EVENT_LD_RETIRED = 0x06,
  EVENT_ST_RETIRED = 0x07,
  EVENT_INST_RETIRED = 0x08,
  EVENT_EXC_TAKEN = 0x09,
  EVENT_EXC_RETURN = 0x0a,
  EVENT_CID_WRITE_RETIRED = 0x0b,
  EVENT_PC_WRITE_RETIRED = 0x0c,
  EVENT_BR_IMMED_RETIRED = 0x0d,
  EVENT_BR_RETURN_RETIRED = 0x0e,
  EVENT_UNALIGNED_LDST_RETIRED = 0x0f,
  EVENT_BR_MIS_PRED = 0x10,
  EVENT_CPU_CYCLES = 0x11,
  EVENT_BR_PRED = 0x12,
  EVENT_MEM_ACCESS = 0x13,
  EVENT_L1I_CACHE = 0x14,
  EVENT_INST_SPEC = 0x1b,
  EVENT_TTBR_WRITE_RETIRED = 0x1c,
  EVENT_BUS_CYCLES = 0x1d,
  EVENT_CHAIN = 0x1e,
  EVENT_BR_RETIRED = 0x21,
  EVENT_BR_MIS_PRED_RETIRED = 0x22,
};

enum {
  PMCR_E = 1 << 0,
  PMCR_P = 1 << 1,
  PMCR_C = 1 << 2,
  PMCR_D = 1 << 3,
  PMCR_X = 1 << 4,
  PMCR_DP = 1 << 5,
  PMCR_LC = 1 << 6,
  PMCR_LP = 1 << 7,
};
/// PMEVTYPERn_EL0 and PMCCFILTR_EL0: do not count at that exception level.
#define PMEVTYPER_P (1ULL << 31)
#define PMEVTYPER_U (1ULL << 30)
enum { PMUSERENR_EN = 1, PMUSERENR_SW = 2, PMUSERENR_CR = 4, PMUSERENR_ER = 8 };
/// Bit of the cycle counter in the sets of counters, and its number.
#define PMU_CYCLES (1ULL << 31)
enum { PMU_CYCLE_COUNTER = 31 };

struct pmu {
  unsigned version;   ///< ID_AA64DFR0_EL1.PMUVer: 4 is PMUv3 for ARMv8.1, 6 is PMUv3p5
  unsigned counters;  ///< event counters
  bool wide;          ///< event counters have 64 bits (PMUv3p5)
  uint64_t all;       ///< bits of all counters
  uint64_t pmcr;      ///< how PMCR_EL0 stands while they are stopped
  uint64_t pmceid[2];
};
/// Of CPU 0, and all the others are like it. Filled by pmu_probe().
extern struct pmu pmu;

/// Finds out which PMU there is, and leaves it as it is; false without one.
bool pmu_probe(void);
/// pmu_probe() and pmu_clear(), and prints which PMU it is. Panics without one.
void pmu_start(void);
/// Whether PMCEID says that it counts this common event.
bool pmu_has(unsigned event);

/// Programs counter i with an event and filters, sets it and puts it into the set that counts once
/// PMCR_EL0.E is set. For PMU_CYCLE_COUNTER the event is only the filters.
void pmu_arm(unsigned i, uint64_t type, uint64_t value);
void pmu_write(unsigned i, uint64_t value);
uint64_t pmu_read(unsigned i);
/// All armed counters.
static inline void pmu_enable(void) {
  write_sysreg(pmcr_el0, pmu.pmcr | PMCR_E);
}
/// They keep their programming.
static inline void pmu_disable(void) {
  write_sysreg(pmcr_el0, pmu.pmcr);
}
/// All counters off and zero, no overflow, no interrupts, cycle counter 64 bits wide.
void pmu_clear(void);
