// SPDX-License-Identifier: MIT
//
// What PV perf the machine offers, and a page for each CPU. Memory is mapped one to one, so that a
// pointer is an address.
#pragma once

#include "pvperf/pvperf.h"
#include "runtime/layout.h"

extern struct pvperf_info pv;
extern struct pvperf_cpu pv_cpus[MAX_CPUS];
extern struct pvperf_page pv_pages[MAX_CPUS];

/// Finds it; ends the guest if there is none.
void pv_start(void);
/// Gives this CPU, number current_cpu(), its page.
struct pvperf_cpu* pv_start_cpu(void);
/// As after reset: events, status, error and page of this CPU.
void pv_clear(void);

static inline uint32_t pv_msr(enum pvperf_msr msr) {
  return pvperf_msr(&pv, msr);
}
static inline uint32_t pv_bank(unsigned i, enum pvperf_bank_msr msr) {
  return pvperf_bank_msr(&pv, i, msr);
}
/// Bits 0 to N - 1.
static inline uint64_t pv_all(void) {
  return (1ULL << pv.events) - 1;
}
/// A number made of all registers of this CPU that can be read, to see that nothing has changed.
/// Events must be stopped.
uint64_t pv_fingerprint(void);
