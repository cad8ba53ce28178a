// SPDX-License-Identifier: MIT
//
// Intel architectural performance monitoring: MSRs, event selects and what CPUID says of them.
// What the guests rely on, to the instruction: the WRMSR that starts a counter is counted, the one
// that stops it is not, and RDPMC does not count itself.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

enum {
  MSR_PMC0 = 0xc1,
  MSR_PERFEVTSEL0 = 0x186,
  MSR_FIXED_CTR0 = 0x309,
  MSR_PERF_CAPABILITIES = 0x345,
  MSR_FIXED_CTR_CTRL = 0x38d,
  MSR_PERF_GLOBAL_STATUS = 0x38e,
  MSR_PERF_GLOBAL_CTRL = 0x38f,
  MSR_PERF_GLOBAL_OVF_CTRL = 0x390,
  MSR_A_PMC0 = 0x4c1,
};
enum {
  EVENTSEL_USR = 1 << 16,
  EVENTSEL_OS = 1 << 17,
  EVENTSEL_INT = 1 << 20,
  EVENTSEL_EN = 1 << 22,
  EVENTSEL_COUNT = EVENTSEL_EN | EVENTSEL_OS | EVENTSEL_USR,
};
/// Event select in bits 7:0, unit mask in 15:8.
enum {
  EVENT_CYCLES = 0x003c,
  EVENT_INSTRUCTIONS = 0x00c0,
  EVENT_REFERENCE_CYCLES = 0x013c,
  EVENT_LLC_REFERENCES = 0x4f2e,
  EVENT_LLC_MISSES = 0x412e,
  EVENT_BRANCHES = 0x00c4,
  EVENT_MISPREDICTS = 0x00c5,
  EVENT_CONDITIONAL_BRANCHES = 0x11c4,  // Ice Lake
  EVENT_TAKEN_BRANCHES = 0x20c4,        // Ice Lake
  EVENT_LOADS = 0x81d0,                 // Ice Lake
  EVENT_STORES = 0x82d0,                // Ice Lake
};
enum { RDPMC_FIXED = 0x40000000, FIXED_OS = 1, FIXED_USR = 2, FIXED_PMI = 8 };

struct pmu {
  unsigned version;
  unsigned gp;                   ///< general-purpose counters
  unsigned fixed;                ///< fixed counters
  uint64_t gp_mask, fixed_mask;  ///< all ones at the counters' widths
  bool full_width;               ///< IA32_A_PMCx exist
};

/// What CPUID says. Without a PMU everything is 0.
static inline struct pmu pmu_probe(void) {
  struct pmu pmu = {0};
  if (cpuid(0, 0).eax < 0xa) return pmu;
  const struct cpuid leaf = cpuid(0xa, 0);
  pmu.version = leaf.eax & 0xff;
  if (pmu.version == 0) return pmu;
  pmu.gp = leaf.eax >> 8 & 0xff;
  pmu.gp_mask = (1ULL << (leaf.eax >> 16 & 0xff)) - 1;
  if (pmu.version > 1) {
    pmu.fixed = leaf.edx & 0x1f;
    pmu.fixed_mask = (1ULL << (leaf.edx >> 5 & 0xff)) - 1;
  }
  const bool capabilities = (cpuid(1, 0).ecx >> 15 & 1) != 0;
  pmu.full_width = capabilities && (rdmsr(MSR_PERF_CAPABILITIES) >> 13 & 1) != 0;
  return pmu;
}

/// Programs GP counter i with the event, its value and the flags (EVENTSEL_*), disabled globally or
/// not as the caller arranged.
static inline void pmu_program(unsigned i, uint32_t event, uint64_t flags, uint64_t value) {
  wrmsr(MSR_PERFEVTSEL0 + i, 0);
  wrmsr(MSR_A_PMC0 + i, value);
  wrmsr(MSR_PERFEVTSEL0 + i, event | flags);
}

/// All counters off and zero, all status bits clear.
static inline void pmu_clear(const struct pmu* pmu) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  for (unsigned i = 0; i < pmu->gp; ++i) pmu_program(i, 0, 0, 0);
  wrmsr(MSR_FIXED_CTR_CTRL, 0);
  for (unsigned k = 0; k < pmu->fixed; ++k) wrmsr(MSR_FIXED_CTR0 + k, 0);
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, rdmsr(MSR_PERF_GLOBAL_STATUS));
}
