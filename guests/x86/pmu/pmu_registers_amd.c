// SPDX-License-Identifier: MIT
//
// The registers of AMD's performance counters: old and new names of the same ones, what is dropped
// from what is written, and PerfMonV2's global registers. Nothing here faults but what is not
// there.
#include "access.h"
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

enum { K7_COUNTERS = 4 };
/// What a PerfEvtSel keeps: 35:32 and 31:0 without bits 19 and 21.
#define SELECT_KEPT 0xfffd7ffffULL
#define VALUE_MASK 0xffffffffffffULL

static void check_names(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < K7_COUNTERS; ++i) {
    wrmsr(MSR_K7_EVNTSEL0 + i, 0x1000000c0u + i);
    wrong += rdmsr(pmu_select_msr(i)) != 0x1000000c0u + i;
    wrmsr(pmu_select_msr(i), 0x76 + i);
    wrong += rdmsr(MSR_K7_EVNTSEL0 + i) != 0x76 + i;
    wrmsr(MSR_K7_PERFCTR0 + i, 0x123456789abcu + i);
    wrong += rdmsr(pmu_counter_msr(i)) != 0x123456789abcu + i;
    wrmsr(pmu_counter_msr(i), 0x876543210000u + i);
    wrong += rdmsr(MSR_K7_PERFCTR0 + i) != 0x876543210000u + i || rdpmc(i) != 0x876543210000u + i;
  }
  CHECK_EQUAL(wrong, 0, "the first four counters have two names each");
  pmu_clear();
}

static void check_dropped_bits(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    const uint64_t disabled = ~(uint64_t)EVENTSEL_EN;
    wrong += !becomes(pmu_select_msr(i), disabled, SELECT_KEPT & disabled);
    for (unsigned bit = 0; bit < 64; ++bit) {
      wrong += !becomes(pmu_select_msr(i), 1ULL << bit, SELECT_KEPT & 1ULL << bit);
    }
    wrong += !keeps(pmu_select_msr(i), 0);
  }
  CHECK_EQUAL(wrong, 0, "event selects drop every bit that they do not know");
  wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    wrong += !becomes(pmu_counter_msr(i), ~0ULL, VALUE_MASK);
    wrong += !keeps(pmu_counter_msr(i), 0x80000000);
    wrong += !becomes(pmu_counter_msr(i), 0x1000000000005, 5);
  }
  CHECK_EQUAL(wrong, 0, "counters take 48 bits as they are, and drop more");
  pmu_clear();
}

static void check_global_registers(void) {
  if (pmu.version < 2) {
    unsigned there = 0;
    for (uint32_t msr = MSR_AMD_GLOBAL_STATUS; msr <= MSR_AMD_GLOBAL_STATUS_SET; ++msr) {
      there += !absent(msr);
    }
    CHECK_EQUAL(there, 0, "without PerfMonV2 there are no global registers");
    return;
  }
  CHECK(becomes(MSR_AMD_GLOBAL_CTRL, ~0ULL, pmu_all()), "GlobalCtl keeps a bit for each counter");
  wrmsr(MSR_AMD_GLOBAL_CTRL, 0);
  CHECK(ignores(MSR_AMD_GLOBAL_STATUS, ~0ULL) && rdmsr(MSR_AMD_GLOBAL_STATUS) == 0,
        "GlobalStatus ignores writes");
  CHECK(
      becomes(MSR_AMD_GLOBAL_STATUS_SET, pmu_all(), 0) && rdmsr(MSR_AMD_GLOBAL_STATUS) == pmu_all(),
      "GlobalStatusSet sets, and reads 0");
  CHECK(becomes(MSR_AMD_GLOBAL_STATUS_CLEAR, 2, 0) &&
            rdmsr(MSR_AMD_GLOBAL_STATUS) == (pmu_all() & ~2ULL),
        "GlobalStatusClr clears what is written, and reads 0");
  CHECK(ignores(MSR_AMD_GLOBAL_STATUS, 0), "a write of 0 to GlobalStatus clears nothing");
  wrmsr(MSR_AMD_GLOBAL_STATUS_CLEAR, ~0ULL);
  CHECK_EQUAL(rdmsr(MSR_AMD_GLOBAL_STATUS), 0, "GlobalStatusClr of everything leaves nothing");
}

static void check_overflow(void) {
  measured_block(pmu_arm(1, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, VALUE_MASK));
  CHECK_EQUAL(rdpmc(1), BLOCK_INSTRUCTIONS - 1, "a counter wraps at 48 bits");
  CHECK_EQUAL(pmu_overflows(2), 2, "and can be told to have overflowed");
  pmu_clear();
}

/// Event selects have twelve bits: 1C2 is not C2.
static void check_wide_events(void) {
  measured_block(pmu_arm(0, 0x1000000c2, EVENTSEL_COUNT, 0));
  CHECK_EQUAL(rdpmc(0), 0, "event 1C2 is not event 0C2");
  pmu_clear();
}

static void check_intels_registers(void) {
  unsigned there = 0;
  for (uint32_t msr = MSR_FIXED_CTR_CTRL; msr <= MSR_PERF_GLOBAL_INUSE; ++msr)
    there += !absent(msr);
  there += !absent(MSR_FIXED_CTR0) + !absent(MSR_A_PMC0) + !absent(MSR_PERF_CAPABILITIES);
  CHECK_EQUAL(there, 0, "Intel's global registers and fixed counters are not there");
  CHECK_EQUAL(cpuid(0xa, 0).eax, 0, "nor is CPUID.0AH");
}

void guest_main(void) {
  pmu_start();
  if (pmu.vendor != PMU_AMD) panic("this is for AMD's CPUs: pmu_registers.c");
  check_names();
  check_dropped_bits();
  check_global_registers();
  check_overflow();
  check_wide_events();
  check_intels_registers();
}
