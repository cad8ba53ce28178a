// SPDX-License-Identifier: MIT
//
// What an event filter lets it count, for a host that changes the filter between its turns
// (filter_mailbox.h). It judges nothing itself: whether a count should be there, the host knows.
#include "access.h"
#include "filter_mailbox.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/smp.h"
#include "runtime/start.h"

enum { MEMORY_CPU = 1 };

void measure_branches(uint64_t results[2]);
void measure_memory(uint64_t results[3]);

static volatile struct filter_mailbox mailbox;

static void ready(void) {
  outl(0xf4, (uint32_t)(uintptr_t)&mailbox);
}

/// Takes the value with some bits turned, and the old one again.
static bool turns(uint32_t msr, uint64_t bits) {
  if (absent(msr)) return false;
  const uint64_t before = rdmsr(msr);
  return keeps(msr, before ^ bits) && keeps(msr, before);
}

static bool registers_keep(void) {
  const bool amd = cpuid(0, 0).ebx == 0x68747541;  // "Auth"
  if (amd) return turns(MSR_K7_EVNTSEL0, 0xffff) && turns(MSR_K7_PERFCTR0, 0xffff);
  return turns(MSR_PERF_GLOBAL_CTRL, 1) && turns(MSR_PERFEVTSEL0, 0xffff) &&
         turns(MSR_A_PMC0, 0xffff);
}

static void count(const enum pmu_event* events, unsigned number) {
  pmu_disable();
  for (unsigned i = 0; i < number; ++i) {
    pmu_arm(i, pmu_code(events[i]), EVENTSEL_EN | EVENTSEL_OS, 0);
  }
  pmu_enable((1ULL << number) - 1);
}

static void show(const uint64_t* results, unsigned number) {
  for (unsigned i = 0; i < number; ++i) mailbox.results[i] = results[i];
}

static void branches(bool anew) {
  static const enum pmu_event events[] = {EVENT_BRANCHES, EVENT_INSTRUCTIONS};
  if (anew) count(events, 2);
  uint64_t results[2];
  measure_branches(results);
  show(results, 2);
}

static bool memory_anew;
static void memory(void* unused) {
  (void)unused;
  static const enum pmu_event events[] = {EVENT_LOADS, EVENT_STORES, EVENT_ACCESSES};
  static const enum pmu_event amd_events[] = {EVENT_LOADS, EVENT_STORES, EVENT_READ_MODIFY_WRITES};
  if (memory_anew) count(pmu.vendor == PMU_AMD ? amd_events : events, 3);
  uint64_t results[3];
  measure_memory(results);
  show(results, 3);
}

static void memory_there(bool anew) {
  memory_anew = anew;
  smp_run(MEMORY_CPU, memory, 0);
  smp_wait(MEMORY_CPU);
}

static void fixed(unsigned k) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  wrmsr(MSR_FIXED_CTR0 + k, 0);
  wrmsr(MSR_FIXED_CTR_CTRL, (uint64_t)FIXED_OS << 4 * k);
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1ULL << (32 + k));
  uint64_t iterations = MEASURED_BRANCHES;
  __asm__ volatile("1: loop 1b" : "+c"(iterations));
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  mailbox.results[0] = rdmsr(MSR_FIXED_CTR0 + k);
}

void guest_main(void) {
  if (pmu_probe()) pmu_clear();
  if (smp_cpus() > 1) smp_start();
  for (;;) {
    ready();
    switch ((enum filter_request)mailbox.request) {
      case REQUEST_END: check_summary();
      case REQUEST_SANITY: mailbox.results[0] = registers_keep(); break;
      case REQUEST_COUNT_BRANCHES: branches(true); break;
      case REQUEST_MEASURE_BRANCHES: branches(false); break;
      case REQUEST_COUNT_MEMORY: memory_there(true); break;
      case REQUEST_MEASURE_MEMORY: memory_there(false); break;
      case REQUEST_COUNT_FIXED: fixed(mailbox.counter); break;
    }
  }
}
