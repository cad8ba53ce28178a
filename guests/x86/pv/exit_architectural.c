// SPDX-License-Identifier: MIT
//
// The exit table's architectural columns: the registers that Linux 6.1's driver for Intel's PMU
// writes and reads, in its order. Every one of them exits where a hypervisor emulates the PMU.
#include "exit_column.h"
#include "runtime/apic.h"
#include "runtime/pmu.h"

static const enum pmu_event events[EXIT_EVENTS] = {EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_BRANCHES,
                                                   EVENT_MISPREDICTS};
static uint64_t started_at[EXIT_EVENTS];  // what the driver has written to each counter

static bool discover(void) {
  if (!pmu_probe() || pmu.vendor != PMU_INTEL || pmu.version < 2 || pmu.gp < EXIT_EVENTS ||
      pmu.fixed < 2)
    return false;
  pmu_clear();
  return true;
}

static void unmask(void) {
  apic_write(APIC_LVT_PERFORMANCE, LVT_NMI);
}

/// Counter i counts from `from` on when GLOBAL_CTRL lets it.
static void program(unsigned i, uint64_t from, uint64_t flags) {
  started_at[i] = from;
  wrmsr(pmu_counter_msr(i), from);
  wrmsr(pmu_select_msr(i), pmu_code(events[i]) | EVENTSEL_COUNT | flags);
}

// ---- Four general-purpose counters --------------------------------------------------------------

static void start_general_from(const uint64_t counts[EXIT_EVENTS]) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) program(i, counts[i], 0);
  unmask();
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0xf);
}
static void start_general(void) {
  const uint64_t zeros[EXIT_EVENTS] = {0};
  start_general_from(zeros);
}
static void read_general(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) counts[i] = rdpmc(i);
}
static void stop_general(uint64_t counts[EXIT_EVENTS]) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) {
    wrmsr(pmu_select_msr(i), 0);
    counts[i] = rdpmc(i);
  }
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0xf);
}

/// The driver reads the status again, since a counter may have overflowed meanwhile.
static bool handle_pmi(uint64_t counter, uint64_t status_bit, uint32_t rdpmc_index) {
  unmask();
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  uint64_t status = rdmsr(MSR_PERF_GLOBAL_STATUS);
  const bool overflowed = (status & status_bit) != 0;
  while (status != 0) {
    wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, status);
    const uint64_t excess = rdpmc(rdpmc_index);
    wrmsr((uint32_t)counter, (excess - SAMPLED_INSTRUCTIONS) & pmu.gp_mask);
    status = rdmsr(MSR_PERF_GLOBAL_STATUS);
  }
  wrmsr(MSR_PERF_GLOBAL_CTRL, status_bit);
  return overflowed;
}

static void sample_general(void) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  program(0, -(uint64_t)SAMPLED_INSTRUCTIONS & pmu.gp_mask, EVENTSEL_INT);
  unmask();
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1);
}
static bool on_nmi_general(void) {
  return handle_pmi(pmu_counter_msr(0), 1, 0);
}

const struct exit_column general_counters = {
    .name = "general",
    .discover = discover,
    .start = start_general,
    .read_running = read_general,
    .stop = stop_general,
    .switch_out = stop_general,
    .switch_in = start_general_from,
    .sample = sample_general,
    .on_nmi = on_nmi_general,
    .end_sampling = pmu_clear,
};

// ---- Instructions and cycles on their fixed counters --------------------------------------------

enum { FIXED_EVENTS = 2, FIXED_COUNTS = FIXED_OS | FIXED_USR };
#define FIXED_BITS (3ULL << 32)

static void start_fixed_from(const uint64_t counts[EXIT_EVENTS]) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  for (unsigned k = 0; k < FIXED_EVENTS; ++k) wrmsr(MSR_FIXED_CTR0 + k, counts[k]);
  wrmsr(MSR_FIXED_CTR_CTRL, FIXED_COUNTS << 4 | FIXED_COUNTS);
  for (unsigned i = FIXED_EVENTS; i < EXIT_EVENTS; ++i) program(i, counts[i], 0);
  unmask();
  wrmsr(MSR_PERF_GLOBAL_CTRL, FIXED_BITS | 0xf);
}
static void start_fixed(void) {
  const uint64_t zeros[EXIT_EVENTS] = {0};
  start_fixed_from(zeros);
}
static void read_fixed(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) {
    counts[i] = rdpmc(i < FIXED_EVENTS ? RDPMC_FIXED | i : i);
  }
}
static void stop_fixed(uint64_t counts[EXIT_EVENTS]) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  wrmsr(MSR_FIXED_CTR_CTRL, 0);
  for (unsigned i = FIXED_EVENTS; i < EXIT_EVENTS; ++i) wrmsr(pmu_select_msr(i), 0);
  read_fixed(counts);
  wrmsr(MSR_PERF_GLOBAL_CTRL, FIXED_BITS | 0xf);
}

static void sample_fixed(void) {
  wrmsr(MSR_PERF_GLOBAL_CTRL, 0);
  wrmsr(MSR_FIXED_CTR0, -(uint64_t)SAMPLED_INSTRUCTIONS & pmu.fixed_mask);
  wrmsr(MSR_FIXED_CTR_CTRL, FIXED_COUNTS | FIXED_PMI);
  unmask();
  wrmsr(MSR_PERF_GLOBAL_CTRL, 1ULL << 32);
}
static bool on_nmi_fixed(void) {
  return handle_pmi(MSR_FIXED_CTR0, 1ULL << 32, RDPMC_FIXED);
}

const struct exit_column fixed_counters = {
    .name = "fixed",
    .discover = discover,
    .start = start_fixed,
    .read_running = read_fixed,
    .stop = stop_fixed,
    .switch_out = stop_fixed,
    .switch_in = start_fixed_from,
    .sample = sample_fixed,
    .on_nmi = on_nmi_fixed,
    .end_sampling = pmu_clear,
};
