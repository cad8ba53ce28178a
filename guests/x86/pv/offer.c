// SPDX-License-Identifier: MIT
#include "offer.h"

#include "runtime/console.h"
#include "runtime/cpu.h"
#include "runtime/traps.h"

struct pvperf_info pv;
struct pvperf_cpu pv_cpus[MAX_CPUS];
struct pvperf_page pv_pages[MAX_CPUS];

void pv_start(void) {
  const enum pvperf_code code = pvperf_discover(&pv);
  if (code != PVPERF_OK) {
    print("PV perf: %s\n", pvperf_code_name(code));
    panic("this guest needs --pv-perf");
  }
  for (unsigned cpu = 0; cpu < MAX_CPUS; ++cpu) pvperf_cpu_start(&pv_cpus[cpu], &pv, 0, 0);
}

struct pvperf_cpu* pv_start_cpu(void) {
  const unsigned cpu = current_cpu();
  if (pvperf_cpu_start(&pv_cpus[cpu], &pv, &pv_pages[cpu], (uint64_t)&pv_pages[cpu]) != PVPERF_OK) {
    panic("a CPU gets no page");
  }
  return &pv_cpus[cpu];
}

void pv_clear(void) {
  wrmsr(pv_msr(PVPERF_MSR_GLOBAL_CTRL), 0);
  for (unsigned i = 0; i < pv.events; ++i) {
    for (unsigned r = PVPERF_BANK_EVTSEL; r <= PVPERF_BANK_TIME_RUN; ++r) {
      wrmsr(pv_bank(i, (enum pvperf_bank_msr)r), 0);
    }
  }
  wrmsr(pv_msr(PVPERF_MSR_STATUS_RESET), pv_all() | PVPERF_STATUS_HOST_TROUBLE);
  wrmsr(pv_msr(PVPERF_MSR_ERROR), 0);
  if (pvperf_has(&pv, PVPERF_FEATURE_AREA)) wrmsr(pv_msr(PVPERF_MSR_AREA), 0);
}

uint64_t pv_fingerprint(void) {
  uint64_t sum = 0;
  for (unsigned r = PVPERF_MSR_CAP; r <= PVPERF_MSR_BATCH; ++r) {
    sum = sum * 31 + rdmsr(pv_msr((enum pvperf_msr)r));
  }
  for (unsigned i = 0; i < pv.events; ++i) {
    for (unsigned r = PVPERF_BANK_EVTSEL; r <= PVPERF_BANK_STATE; ++r) {
      sum = sum * 31 + rdmsr(pv_bank(i, (enum pvperf_bank_msr)r));
    }
  }
  return sum;
}
