// SPDX-License-Identifier: MIT
//
// The exit table's architectural columns: the registers that Linux 6.1's driver for Intel's PMU
// writes and reads, in its order. Every one of them exits where a hypervisor emulates the PMU. On
// AMD's CPUs it is the same with their registers; where there is no GLOBAL_CTRL, without it.
#include "exit_column.h"
#include "runtime/apic.h"
#include "runtime/pmu.h"

static const enum pmu_event events[EXIT_EVENTS] = {EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_BRANCHES,
                                                   EVENT_LOADS};
static uint64_t started_at[EXIT_EVENTS];  // what the driver has written to each counter

enum { FIXED_EVENTS = 2, FIXED_COUNTS = FIXED_OS | FIXED_USR };

static bool discover(void) {
  if (!pmu_probe() || pmu.gp < EXIT_EVENTS) return false;
  pmu_clear();
  return true;
}
static bool discover_fixed(void) {
  return discover() && pmu.fixed >= FIXED_EVENTS;
}

static void global_control(uint64_t counters) {
  if (pmu.global_ctrl != 0) wrmsr(pmu.global_ctrl, counters);
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
  global_control(0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) program(i, counts[i], 0);
  unmask();
  global_control(0xf);
}
static void start_general(void) {
  const uint64_t zeros[EXIT_EVENTS] = {0};
  start_general_from(zeros);
}
static void read_general(uint64_t counts[EXIT_EVENTS]) {
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) counts[i] = rdpmc(i);
}
static void stop_general(uint64_t counts[EXIT_EVENTS]) {
  global_control(0);
  for (unsigned i = 0; i < EXIT_EVENTS; ++i) {
    wrmsr(pmu_select_msr(i), 0);
    counts[i] = rdpmc(i);
  }
  global_control(0xf);
}

/// The driver reads the status again, since a counter may have overflowed meanwhile.
static bool handle_pmi(uint32_t counter, uint64_t status_bit, uint32_t rdpmc_index) {
  unmask();
  global_control(0);
  uint64_t status = pmu_overflows(status_bit);
  const bool overflowed = (status & status_bit) != 0;
  while (status != 0) {
    pmu_acknowledge(status);
    const uint64_t excess = rdpmc(rdpmc_index);
    wrmsr(counter, (excess - SAMPLED_INSTRUCTIONS) & pmu.gp_mask);
    status = pmu_overflows(status_bit);
  }
  global_control(status_bit);
  return overflowed;
}

static void sample_general(void) {
  global_control(0);
  program(0, -(uint64_t)SAMPLED_INSTRUCTIONS & pmu.gp_mask, EVENTSEL_INT);
  unmask();
  global_control(1);
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

#define FIXED_BITS (3ULL << 32)

static void start_fixed_from(const uint64_t counts[EXIT_EVENTS]) {
  global_control(0);
  for (unsigned k = 0; k < FIXED_EVENTS; ++k) wrmsr(MSR_FIXED_CTR0 + k, counts[k]);
  wrmsr(MSR_FIXED_CTR_CTRL, FIXED_COUNTS << 4 | FIXED_COUNTS);
  for (unsigned i = FIXED_EVENTS; i < EXIT_EVENTS; ++i) program(i, counts[i], 0);
  unmask();
  global_control(FIXED_BITS | 0xf);
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
  global_control(0);
  wrmsr(MSR_FIXED_CTR_CTRL, 0);
  for (unsigned i = FIXED_EVENTS; i < EXIT_EVENTS; ++i) wrmsr(pmu_select_msr(i), 0);
  read_fixed(counts);
  global_control(FIXED_BITS | 0xf);
}

static void sample_fixed(void) {
  global_control(0);
  wrmsr(MSR_FIXED_CTR0, -(uint64_t)SAMPLED_INSTRUCTIONS & pmu.fixed_mask);
  wrmsr(MSR_FIXED_CTR_CTRL, FIXED_COUNTS | FIXED_PMI);
  unmask();
  global_control(1ULL << 32);
}
static bool on_nmi_fixed(void) {
  return handle_pmi(MSR_FIXED_CTR0, 1ULL << 32, RDPMC_FIXED);
}

const struct exit_column fixed_counters = {
    .name = "fixed",
    .discover = discover_fixed,
    .start = start_fixed,
    .read_running = read_fixed,
    .stop = stop_fixed,
    .switch_out = stop_fixed,
    .switch_in = start_fixed_from,
    .sample = sample_fixed,
    .on_nmi = on_nmi_fixed,
    .end_sampling = pmu_clear,
};
