// SPDX-License-Identifier: MIT
//
// Which counters there are, by CPUID and by trying, and that each of them counts: for every
// version, number of counters and width of writes that a PMU may be given, and for no PMU.
#include "access.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

enum { INSTRUCTIONS = 45, BRANCHES = 10, MOST_FIXED = 8, DEAD = 0xdead };

void count_45(struct pmu_switch start);

// ---- Counting -----------------------------------------------------------------------------------

static bool plausible(enum pmu_event event, uint64_t counted) {
  switch (event) {
    case EVENT_INSTRUCTIONS: return counted == INSTRUCTIONS;
    case EVENT_BRANCHES: return counted == BRANCHES;
    case EVENT_MISPREDICTS: return counted <= BRANCHES;
    case EVENT_SLOTS: return counted >= INSTRUCTIONS;
    default: return counted != 0;
  }
}

/// Counter i counts, keeps what it is given when it is off, and then does not move.
static bool counts(unsigned i, enum pmu_event event) {
  count_45(pmu_arm(i, pmu_code(event), EVENTSEL_OS | EVENTSEL_EN, 0));
  const uint64_t counted = rdpmc(i);
  bool right = plausible(event, counted);
  if (!right) print("      (counter %u: %lu)\n", i, counted);
  // Off by its own enable, and then by the global one.
  count_45(pmu_arm(i, pmu_code(event), EVENTSEL_OS, DEAD));
  right = right && rdpmc(i) == DEAD;
  if (pmu.global_ctrl != 0) {
    pmu_arm(i, pmu_code(event), EVENTSEL_OS | EVENTSEL_EN, DEAD);
    count_45((struct pmu_switch){0, pmu.global_ctrl});
    right = right && rdpmc(i) == DEAD;
  }
  pmu_arm(i, 0, 0, 0);
  return right;
}

static void check_counting(void) {
  static const enum pmu_event tried[] = {
      EVENT_INSTRUCTIONS, EVENT_BRANCHES,   EVENT_MISPREDICTS,      EVENT_CYCLES,
      EVENT_SLOTS,        EVENT_LLC_MISSES, EVENT_REFERENCE_CYCLES, EVENT_LLC_REFERENCES};
  for (unsigned e = 0; e < sizeof tried / sizeof *tried; ++e) {
    if (pmu_code(tried[e]) == 0) continue;
    unsigned wrong = 0;
    for (unsigned i = 0; i < pmu.gp; ++i) wrong += !counts(i, tried[e]);
    CHECK_EQUAL(wrong, 0, "every counter counts %s", pmu_event_name(tried[e]));
  }
  static const enum pmu_event fixed[] = {EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_REFERENCE_CYCLES,
                                         EVENT_SLOTS};
  for (unsigned k = 0; k < pmu.fixed && k < 4; ++k) {
    count_45(pmu_arm_fixed(k, FIXED_OS, 0));
    CHECK(plausible(fixed[k], pmu_fixed(k)), "fixed counter %u counts %s: %lu", k,
          pmu_event_name(fixed[k]), pmu_fixed(k));
    count_45(pmu_arm_fixed(k, 0, DEAD));
    CHECK_EQUAL(pmu_fixed(k), DEAD, "and stands still when it is off");
  }
}

// ---- What is there ------------------------------------------------------------------------------

/// The four ways to counter i of `n`.
static bool intel_counter_right(unsigned i, unsigned n) {
  const uint32_t counter = MSR_PMC0 + i, full = MSR_A_PMC0 + i, select = MSR_PERFEVTSEL0 + i;
  if (i < n) {
    const bool full_right = pmu.full_width ? rdmsr(full) == 0 : absent(full);
    const bool kept = full_right && keeps(counter, 0xffff) && rdpmc(i) == 0xffff;
    wrmsr(counter, 0);
    return kept && keeps(select, 0xc0) && keeps(select, 0);
  }
  // Guests have always written the first two, whether or not they are there.
  const bool gone = i < 2 ? drops(counter) && drops(select) : absent(counter) && absent(select);
  return gone && absent(full) && rdpmc_refuses(i);
}

static bool intel_fixed_right(unsigned k) {
  const uint32_t counter = MSR_FIXED_CTR0 + k;
  if (k < pmu.fixed) {
    const bool kept = keeps(counter, 0xffff) && pmu_fixed(k) == 0xffff;
    wrmsr(counter, 0);
    return kept && keeps(MSR_FIXED_CTR_CTRL, 3ULL << 4 * k) && keeps(MSR_FIXED_CTR_CTRL, 0) &&
           keeps(MSR_PERF_GLOBAL_CTRL, 1ULL << (32 + k)) && keeps(MSR_PERF_GLOBAL_CTRL, 0);
  }
  if (!absent(counter) || !rdpmc_refuses(RDPMC_FIXED | k)) return false;
  if (pmu.version < 2) return absent(MSR_FIXED_CTR_CTRL) && absent(MSR_PERF_GLOBAL_CTRL);
  return refuses(MSR_FIXED_CTR_CTRL, 1ULL << 4 * k) &&
         refuses(MSR_PERF_GLOBAL_CTRL, 1ULL << (32 + k));
}

static void check_intel(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < 12; ++i) wrong += !intel_counter_right(i, pmu.gp);
  CHECK_EQUAL(wrong, 0, "there are exactly counters 0 to %u", pmu.gp - 1);
  wrong = 0;
  for (unsigned k = 0; k < MOST_FIXED; ++k) wrong += !intel_fixed_right(k);
  CHECK_EQUAL(wrong, 0, "there are exactly %u fixed counters", pmu.fixed);
}

static bool amd_core_counter_right(unsigned i) {
  const uint32_t select = MSR_F15H_PERF_CTL0 + 2 * i, counter = MSR_F15H_PERF_CTR0 + 2 * i;
  if (pmu.stride == 2 && i < pmu.gp) {
    const bool kept = keeps(counter, 0xffff) && rdpmc(i) == 0xffff;
    wrmsr(counter, 0);
    return kept && keeps(select, 0xc0) && keeps(select, 0);
  }
  return absent(select) && absent(counter) && (i < pmu.gp || rdpmc_refuses(i));
}
static void check_amd(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < 8; ++i) wrong += !amd_core_counter_right(i);
  CHECK_EQUAL(wrong, 0, "there are exactly %u counters", pmu.gp);
  wrong = 0;
  for (unsigned i = 0; i < 4; ++i) {
    wrong += !keeps(MSR_K7_PERFCTR0 + i, 0xffff) || rdpmc(i) != 0xffff;
    wrong += !keeps(MSR_K7_EVNTSEL0 + i, 0xc0);
    wrmsr(MSR_K7_EVNTSEL0 + i, 0);
    wrmsr(MSR_K7_PERFCTR0 + i, 0);
  }
  CHECK_EQUAL(wrong, 0, "the first four have their old registers");
}

static void check_rdpmc(void) {
  unsigned wrong = 0;
  for (unsigned bit = 29; bit < 32; ++bit) {
    for (unsigned i = 0; i < PMU_MOST_COUNTERS; ++i) {
      if (bit == 30 && i < pmu.fixed) continue;  // fixed counters
      wrong += !rdpmc_refuses(1u << bit | i);
    }
  }
  CHECK_EQUAL(wrong, 0, "RDPMC refuses the fast bit and every unknown type");
  CHECK(rdpmc_refuses(64) && rdpmc_refuses(0x10000) && rdpmc_refuses(0x10001), "and every index");
}

static void check_no_pmu(void) {
  const bool amd = cpuid(0, 0).ebx == 0x68747541;
  if (amd) {
    unsigned kept = 0;
    for (unsigned i = 0; i < 8; ++i) kept += !drops(MSR_K7_EVNTSEL0 + i);
    CHECK_EQUAL(kept, 0, "without a PMU the eight oldest registers read 0 and take anything");
    CHECK(absent(MSR_F15H_PERF_CTL0) && absent(MSR_F15H_PERF_CTR0), "the newer ones are not there");
    CHECK(absent(MSR_AMD_GLOBAL_CTRL) && absent(MSR_AMD_GLOBAL_STATUS), "nor the global ones");
  } else {
    const struct cpuid leaf = cpuid(0xa, 0);
    CHECK((leaf.eax | leaf.ebx | leaf.ecx | leaf.edx) == 0, "without a PMU CPUID.0AH is all zero");
    unsigned wrong = 0;
    for (unsigned i = 0; i < 12; ++i) wrong += !intel_counter_right(i, 0);
    CHECK_EQUAL(wrong, 0, "there are no counters; the first two registers of each kind read 0");
    wrong = 0;
    for (unsigned k = 0; k < MOST_FIXED; ++k) wrong += !absent(MSR_FIXED_CTR0 + k);
    for (uint32_t msr = MSR_FIXED_CTR_CTRL; msr <= MSR_PERF_GLOBAL_INUSE; ++msr) {
      wrong += !absent(msr);
    }
    CHECK_EQUAL(wrong, 0, "nor fixed counters nor global registers");
    CHECK((rdmsr(MSR_MISC_ENABLE) >> 7 & 1) == 0, "IA32_MISC_ENABLE says so, too");
  }
  CHECK(rdpmc_refuses(0) && rdpmc_refuses(RDPMC_FIXED) && rdpmc_refuses(0x10000),
        "RDPMC refuses everything");
}

void guest_main(void) {
  if (!pmu_probe()) {
    CHECK(option_flag("pmu=off"), "there is no PMU");
    check_no_pmu();
    return;
  }
  CHECK(!option_flag("pmu=off"), "there is a PMU");
  pmu_start();
  // What the command line says this PMU was given.
  CHECK_EQUAL(pmu.version, option_number("version", pmu.version), "it has version %u", pmu.version);
  CHECK_EQUAL(pmu.gp, option_number("gp", pmu.gp), "it has %u counters", pmu.gp);
  CHECK_EQUAL(pmu.fixed, option_number("fixed", pmu.fixed), "it has %u fixed counters", pmu.fixed);
  CHECK_EQUAL(pmu.full_width, option_number("fullwidth", pmu.full_width), "full-width writes: %u",
              pmu.full_width);
  if (pmu.global_ctrl != 0) {
    CHECK_EQUAL(pmu.global_ctrl_at_start, (1ULL << pmu.gp) - 1,
                "after reset GLOBAL_CTRL enables all GP counters, and no other");
  }
  check_counting();
  if (pmu.vendor == PMU_AMD) {
    check_amd();
  } else {
    check_intel();
  }
  check_rdpmc();
}
