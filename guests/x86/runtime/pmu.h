// SPDX-License-Identifier: MIT
//
// The PMU of this CPU, Intel's or AMD's, through one set of functions. What the guests rely on, to
// the instruction: the WRMSR that starts a counter is counted, the one that stops it is not, and
// RDPMC does not count itself.
//
// A counter starts through GLOBAL_CTRL where there is one; otherwise (Intel version 1, AMD without
// PerfMonV2) through its own event select. pmu_arm() says which: see struct pmu_switch.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

enum {
  MSR_PMC0 = 0xc1,
  MSR_PERFEVTSEL0 = 0x186,
  MSR_MISC_ENABLE = 0x1a0,
  MSR_DEBUGCTL = 0x1d9,
  MSR_FIXED_CTR0 = 0x309,
  MSR_PERF_CAPABILITIES = 0x345,
  MSR_FIXED_CTR_CTRL = 0x38d,
  MSR_PERF_GLOBAL_STATUS = 0x38e,
  MSR_PERF_GLOBAL_CTRL = 0x38f,
  MSR_PERF_GLOBAL_OVF_CTRL = 0x390,
  MSR_PERF_GLOBAL_STATUS_SET = 0x391,
  MSR_PERF_GLOBAL_INUSE = 0x392,
  MSR_A_PMC0 = 0x4c1,
};
#define MSR_AMD_GLOBAL_STATUS 0xc0000300u
#define MSR_AMD_GLOBAL_CTRL 0xc0000301u
#define MSR_AMD_GLOBAL_STATUS_CLEAR 0xc0000302u
#define MSR_AMD_GLOBAL_STATUS_SET 0xc0000303u
#define MSR_K7_EVNTSEL0 0xc0010000u
#define MSR_K7_PERFCTR0 0xc0010004u
#define MSR_F15H_PERF_CTL0 0xc0010200u
#define MSR_F15H_PERF_CTR0 0xc0010201u

enum {
  EVENTSEL_USR = 1 << 16,
  EVENTSEL_OS = 1 << 17,
  EVENTSEL_EDGE = 1 << 18,
  EVENTSEL_INT = 1 << 20,
  EVENTSEL_EN = 1 << 22,
  EVENTSEL_INV = 1 << 23,
  EVENTSEL_COUNT = EVENTSEL_EN | EVENTSEL_OS | EVENTSEL_USR,
};
#define EVENTSEL_CMASK(n) ((uint64_t)(n) << 24)

enum { RDPMC_FIXED = 0x40000000, FIXED_OS = 1, FIXED_USR = 2, FIXED_PMI = 8 };
enum { PMU_MOST_COUNTERS = 32 };

/// What can be counted, whatever the CPU calls it. The first seven are architectural on Intel.
enum pmu_event {
  EVENT_CYCLES,
  EVENT_INSTRUCTIONS,
  EVENT_REFERENCE_CYCLES,
  EVENT_LLC_REFERENCES,
  EVENT_LLC_MISSES,
  EVENT_BRANCHES,
  EVENT_MISPREDICTS,
  EVENT_SLOTS,
  EVENT_CONDITIONAL_BRANCHES,
  EVENT_TAKEN_BRANCHES,
  EVENT_INDIRECT_BRANCHES,
  EVENT_CALLS,
  EVENT_RETURNS,
  EVENT_LOADS,
  EVENT_STORES,
  EVENT_ACCESSES,            ///< loads and stores
  EVENT_READ_MODIFY_WRITES,  ///< instructions that do both to the same operand
  EVENT_L1D_MISSES,
  EVENT_L1D_LOAD_MISSES,
  EVENT_DTLB_MISSES,  ///< in the first level
  EVENT_DTLB_WALKS,
  EVENT_DTLB_LOAD_WALKS,
  EVENT_DTLB_STORE_WALKS,
  PMU_EVENTS,
};

enum pmu_vendor { PMU_NONE, PMU_INTEL, PMU_AMD };

struct pmu {
  enum pmu_vendor vendor;
  unsigned version;              ///< Intel: of CPUID.0AH. AMD: 2 with PerfMonV2, otherwise 1
  unsigned gp;                   ///< general-purpose counters
  unsigned fixed;                ///< fixed counters
  uint64_t gp_mask, fixed_mask;  ///< all ones at the counters' widths
  bool full_width;               ///< a counter takes its whole width (Intel: through IA32_A_PMCx)
  bool masks_lvt;                ///< a PMI sets LVTPC's mask
  uint32_t select0, counter0, stride;          ///< MSRs: event select and counter i
  uint32_t global_ctrl, status, status_clear;  ///< MSRs; 0 if there are none
  uint64_t global_ctrl_at_start;               ///< what it was when pmu_probe() was called
  const uint64_t* codes;                       ///< by enum pmu_event
};
/// Of CPU 0, and all the others are like it. Filled by pmu_probe().
extern struct pmu pmu;

/// A WRMSR of `value` to `msr` starts counting; one of 0 stops it.
struct pmu_switch {
  uint64_t value;
  uint64_t msr;
};

/// Finds out which PMU there is, and leaves it as it is; false without one.
bool pmu_probe(void);
/// pmu_probe() and pmu_clear(), and prints which PMU it is. Panics without one.
void pmu_start(void);

/// Event select and unit mask as they stand in an event select register; 0 if this model cannot
/// count that.
uint64_t pmu_code(enum pmu_event event);
const char* pmu_event_name(enum pmu_event event);

/// Programs GP counter i with a code, flags (EVENTSEL_*) and value. It stands still until the
/// switch, if GLOBAL_CTRL does not enable it now.
struct pmu_switch pmu_arm(unsigned i, uint64_t code, uint64_t flags, uint64_t value);
/// The same with the control of fixed counter k (FIXED_*); other controls stay.
struct pmu_switch pmu_arm_fixed(unsigned k, uint64_t control, uint64_t value);
/// Starts the armed counters of a set: bits of GLOBAL_CTRL. Not at the same instruction if there is
/// no such register, and then also those that were armed without EVENTSEL_EN.
void pmu_enable(uint64_t counters);
/// Stops all counters; they keep their programming.
void pmu_disable(void);
/// All counters off and zero, no overflow.
void pmu_clear(void);

static inline uint32_t pmu_select_msr(unsigned i) {
  return pmu.select0 + i * pmu.stride;
}
static inline uint32_t pmu_counter_msr(unsigned i) {
  return pmu.counter0 + i * pmu.stride;
}
static inline void pmu_write(unsigned i, uint64_t value) {
  wrmsr(pmu_counter_msr(i), value);
}
static inline uint64_t pmu_fixed(unsigned k) {
  return rdpmc(RDPMC_FIXED | k);
}
/// Bits of all counters that this PMU has.
static inline uint64_t pmu_all(void) {
  return ((1ULL << pmu.fixed) - 1) << 32 | ((1ULL << pmu.gp) - 1);
}

/// Which counters overflowed. Without a status register: those among `armed` whose sign bit is
/// clear, which is right for counters that were armed with a negative value.
uint64_t pmu_overflows(uint64_t armed);
/// Takes them back. Without a status register there is nothing to do.
void pmu_acknowledge(uint64_t counters);
