// SPDX-License-Identifier: MIT
//
// The PMU's registers: which bits they have, how they are written and read, and what a reset by
// PMCR_EL0 leaves.
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static void check_identity(void) {
  const uint64_t pmcr = read_sysreg(pmcr_el0);
  const uint64_t implementer = pmcr >> 24 & 0xff;
  CHECK(implementer == 0 || implementer == (read_sysreg(midr_el1) >> 24 & 0xff),
        "PMCR.IMP is MIDR's, or says nothing");
  CHECK(pmu.counters >= 1 && pmu.counters <= 31, "PMCR.N: %u event counters", pmu.counters);
  CHECK_EQUAL(pmu.counters, option_number("counters", pmu.counters), "as many as asked for");
  CHECK(pmu_has(EVENT_SW_INCR) && pmu_has(EVENT_INST_RETIRED) && pmu_has(EVENT_CPU_CYCLES),
        "PMCEID has what every PMU has");
  CHECK(pmu_has(EVENT_CHAIN) || pmu.wide, "and CHAIN");
  if (pmu.version >= 4) CHECK(pmu_has(0x23) || !pmu_has(0x24), "stalls come in pairs or not");
}

static void check_control(void) {
  write_sysreg(pmcr_el0, PMCR_LC);
  CHECK_EQUAL(read_sysreg(pmcr_el0) & 0x7f, PMCR_LC, "PMCR is as it was written");
  write_sysreg(pmcr_el0, PMCR_LC | PMCR_E | PMCR_X | PMCR_DP);
  CHECK_EQUAL(read_sysreg(pmcr_el0) & 0x7f & ~(uint64_t)PMCR_X & ~(uint64_t)PMCR_DP,
              PMCR_LC | PMCR_E, "E stays set");
  write_sysreg(pmcr_el0, PMCR_LC | PMCR_P | PMCR_C);
  CHECK_EQUAL(read_sysreg(pmcr_el0) & (PMCR_P | PMCR_C | PMCR_E), 0, "P and C read as zero");
  write_sysreg(pmcr_el0, ~0ULL & ~(uint64_t)PMCR_E);
  CHECK_EQUAL(read_sysreg(pmcr_el0) >> 11 & 31, pmu.counters, "N is not written");
  CHECK_EQUAL((read_sysreg(pmcr_el0) & PMCR_LP) != 0, pmu.wide, "LP is there with PMUv3p5 only");
  write_sysreg(pmcr_el0, pmu.pmcr);
}

#define CHECK_SET(set, clear, what)                                                             \
  do {                                                                                          \
    write_sysreg(clear, ~0ULL);                                                                 \
    CHECK(read_sysreg(set) == 0 && read_sysreg(clear) == 0, what " is clear");                  \
    write_sysreg(set, ~0ULL);                                                                   \
    CHECK(read_sysreg(set) == pmu.all && read_sysreg(clear) == pmu.all,                         \
          what ": a bit for each counter");                                                     \
    write_sysreg(clear, 1);                                                                     \
    write_sysreg(set, 0);                                                                       \
    CHECK_EQUAL(read_sysreg(set), pmu.all & ~1ULL, what ": ones clear, zeroes do nothing");     \
    write_sysreg(clear, PMU_CYCLES);                                                            \
    CHECK_EQUAL(read_sysreg(clear), pmu.all & ~1ULL & ~PMU_CYCLES, what ": the cycle counter"); \
    write_sysreg(clear, ~0ULL);                                                                 \
  } while (0)

static void check_sets(void) {
  CHECK_SET(pmcntenset_el0, pmcntenclr_el0, "PMCNTEN");
  CHECK_SET(pmintenset_el1, pmintenclr_el1, "PMINTEN");
  CHECK_SET(pmovsset_el0, pmovsclr_el0, "PMOVS");
}

static void check_counters(void) {
  const uint64_t pattern = 0x123456789abcdef0;
  const uint64_t mask = pmu.wide ? ~0ULL : 0xffffffff;
  bool all = true;
  for (unsigned i = 0; i < pmu.counters; ++i) pmu_write(i, pattern + i);
  for (unsigned i = 0; i < pmu.counters; ++i) all = all && pmu_read(i) == ((pattern + i) & mask);
  CHECK(all, "event counters have %u bits", pmu.wide ? 64 : 32);
  CHECK_EQUAL(read_sysreg(pmevcntr0_el0), pattern & mask, "PMEVCNTR0 is the one of PMSELR 0");
  write_sysreg(pmevcntr0_el0, 77);
  CHECK_EQUAL(pmu_read(0), 77, "and written there");
  pmu_write(PMU_CYCLE_COUNTER, pattern);
  CHECK_EQUAL(read_sysreg(pmccntr_el0), pattern, "the cycle counter has 64");
  write_sysreg(pmcr_el0, pmu.pmcr | PMCR_P);
  all = true;
  for (unsigned i = 0; i < pmu.counters; ++i) all = all && pmu_read(i) == 0;
  CHECK(all && read_sysreg(pmccntr_el0) == pattern, "PMCR.P clears the event counters only");
  pmu_write(0, 5);
  write_sysreg(pmcr_el0, pmu.pmcr | PMCR_C);
  CHECK(pmu_read(0) == 5 && read_sysreg(pmccntr_el0) == 0, "PMCR.C clears the cycle counter only");
  write_sysreg(pmovsset_el0, pmu.all);
  write_sysreg(pmcr_el0, pmu.pmcr | PMCR_P | PMCR_C);
  CHECK_EQUAL(read_sysreg(pmovsclr_el0), pmu.all, "neither clears overflows");
  write_sysreg(pmovsclr_el0, ~0ULL);
}

static void check_types(void) {
  // PMUv3 has 10 bits of event number; from ARMv8.1 on there are 16.
  const uint64_t events = pmu.version >= 4 ? 0xffff : 0x3ff;
  bool all = true;
  for (unsigned i = 0; i < pmu.counters; ++i) {
    write_sysreg(pmselr_el0, i);
    isb();
    write_sysreg(pmxevtyper_el0, PMEVTYPER_P | PMEVTYPER_U | events);
    all = all && (read_sysreg(pmxevtyper_el0) & (PMEVTYPER_P | PMEVTYPER_U | 0xffff)) ==
                     (PMEVTYPER_P | PMEVTYPER_U | events);
    write_sysreg(pmxevtyper_el0, i + 1);
  }
  CHECK(all, "PMEVTYPER has P, U and the event");
  CHECK_EQUAL(read_sysreg(pmevtyper0_el0), 1, "PMEVTYPER0 is the one of PMSELR 0");
  write_sysreg(pmevtyper0_el0, 0);
  write_sysreg(pmselr_el0, 31);
  isb();
  write_sysreg(pmxevtyper_el0, PMEVTYPER_P | 0x3ff);
  CHECK_EQUAL(read_sysreg(pmccfiltr_el0), PMEVTYPER_P, "PMSELR 31: PMCCFILTR, which has no event");
  write_sysreg(pmccfiltr_el0, PMEVTYPER_U);
  CHECK_EQUAL(read_sysreg(pmxevtyper_el0), PMEVTYPER_U, "and the other way round");
  write_sysreg(pmccfiltr_el0, 0);
  write_sysreg(pmselr_el0, ~0ULL);
  CHECK_EQUAL(read_sysreg(pmselr_el0), 31, "PMSELR has 5 bits");
  write_sysreg(pmuserenr_el0, ~0ULL);
  CHECK_EQUAL(read_sysreg(pmuserenr_el0), 15, "PMUSERENR has EN, SW, CR and ER");
  write_sysreg(pmuserenr_el0, 0);
}

static void write_pmceid(void* unused) {
  (void)unused;
  write_sysreg(s3_3_c9_c12_6, 0);
}

void guest_main(void) {
  pmu_start();
  check_identity();
  check_control();
  check_sets();
  check_counters();
  check_types();
  CHECK(expect_fault(ESR(EC_UNKNOWN, 0), write_pmceid, 0), "PMCEID0 cannot be written");
}
