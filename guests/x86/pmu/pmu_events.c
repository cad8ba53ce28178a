// SPDX-License-Identifier: MIT
//
// Every event on every general-purpose counter and on the fixed counters, over code of which the
// counts are known.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

static const struct {
  const char* name;
  uint32_t event;
  uint64_t expected;
} events[] = {
    {"instructions", EVENT_INSTRUCTIONS, BLOCK_INSTRUCTIONS},
    {"branches", EVENT_BRANCHES, BLOCK_BRANCHES},
    {"conditional branches", EVENT_CONDITIONAL_BRANCHES, BLOCK_CONDITIONAL},
    {"near calls", 0x02c4, BLOCK_CALLS},
    {"near returns", 0x08c4, BLOCK_RETURNS},
    {"taken branches", 0x20c4, BLOCK_TAKEN},
    {"indirect branches", 0x80c4, BLOCK_INDIRECT},
    {"loads", EVENT_LOADS, BLOCK_LOADS},
    {"stores", EVENT_STORES, BLOCK_STORES},
};

static struct pmu pmu;

static uint64_t count(unsigned counter, uint32_t event, uint64_t flags) {
  pmu_program(counter, event, flags, 0);
  measured_block(1ULL << counter);
  return rdpmc(counter);
}

static void check_exact_events(void) {
  for (unsigned e = 0; e < sizeof events / sizeof *events; ++e) {
    unsigned wrong = 0;
    uint64_t last = 0;
    for (unsigned i = 0; i < pmu.gp; ++i) {
      const uint64_t counted = count(i, events[e].event, EVENTSEL_COUNT);
      if (counted != events[e].expected) {
        ++wrong;
        last = counted;
      }
      pmu_program(i, 0, 0, 0);
    }
    if (wrong != 0) print("      (counted %lu)\n", last);
    CHECK(wrong == 0, "%u counters count %lu %s", pmu.gp, events[e].expected, events[e].name);
  }
}

static void check_cycles(void) {
  const uint64_t first = count(0, EVENT_CYCLES, EVENTSEL_COUNT);
  CHECK(first != 0 && count(0, EVENT_CYCLES, EVENTSEL_COUNT) == first,
        "cycles of the same code are the same again (%lu)", first);
  const uint64_t reference = count(1, EVENT_REFERENCE_CYCLES, EVENTSEL_COUNT);
  CHECK(reference != 0, "reference cycles count (%lu)", reference);
  const uint64_t mispredicts = count(2, EVENT_MISPREDICTS, EVENTSEL_COUNT);
  CHECK(mispredicts <= BLOCK_BRANCHES / 4, "few branches of a regular loop are mispredicted (%lu)",
        mispredicts);
  pmu_clear(&pmu);
}

static void check_switches(void) {
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_COUNT & ~EVENTSEL_EN), 0,
              "a counter without EN stands still");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_USR), 0,
              "one for user mode stands still in kernel mode");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN), 0, "one for no mode stands still");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_OS), BLOCK_INSTRUCTIONS,
              "one for kernel mode counts in it");
  pmu_program(0, EVENT_INSTRUCTIONS, EVENTSEL_COUNT, 0);
  measured_block(2);
  CHECK_EQUAL(rdpmc(0), 0, "one that is not enabled globally stands still");
  pmu_program(0, EVENT_INSTRUCTIONS, EVENTSEL_COUNT, 1000);
  measured_block(1);
  measured_block(1);
  CHECK_EQUAL(rdpmc(0), 1000 + 2 * BLOCK_INSTRUCTIONS, "a counter goes on from where it was");
  CHECK_EQUAL(rdmsr(MSR_PMC0), rdpmc(0), "RDMSR and RDPMC read the same");
  pmu_clear(&pmu);
}

static void check_fixed_counters(void) {
  if (pmu.fixed == 0) {
    check_skip("fixed counters");
    return;
  }
  wrmsr(MSR_FIXED_CTR_CTRL, 0x333);
  pmu_program(0, EVENT_CYCLES, EVENTSEL_COUNT, 0);
  measured_block(7ULL << 32 | 1);
  CHECK_EQUAL(rdpmc(RDPMC_FIXED | 0), BLOCK_INSTRUCTIONS, "fixed counter 0 counts instructions");
  CHECK_EQUAL(rdpmc(RDPMC_FIXED | 1), rdpmc(0), "fixed counter 1 counts cycles as counter 0 does");
  CHECK(rdpmc(RDPMC_FIXED | 2) != 0, "fixed counter 2 counts reference cycles");
  const uint64_t before = rdpmc(RDPMC_FIXED | 0);
  wrmsr(MSR_FIXED_CTR_CTRL, 0x330);
  measured_block(7ULL << 32);
  CHECK_EQUAL(rdpmc(RDPMC_FIXED | 0), before, "a fixed counter whose control is 0 stands still");
  wrmsr(MSR_FIXED_CTR_CTRL, 0x332);
  measured_block(7ULL << 32);
  CHECK_EQUAL(rdpmc(RDPMC_FIXED | 0), before, "one for user mode stands still in kernel mode");
  pmu_clear(&pmu);
}

static void check_all_together(void) {
  for (unsigned i = 0; i < pmu.gp; ++i) {
    pmu_program(i, events[i % 9].event, EVENTSEL_COUNT, 0);
  }
  wrmsr(MSR_FIXED_CTR_CTRL, 0x333);
  measured_block(((1ULL << pmu.fixed) - 1) << 32 | ((1ULL << pmu.gp) - 1));
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) wrong += rdpmc(i) != events[i % 9].expected;
  CHECK_EQUAL(wrong, 0, "%u counters at once count what each counts alone", pmu.gp);
  pmu_clear(&pmu);
}

void guest_main(void) {
  const uint64_t after_reset = rdmsr(MSR_PERF_GLOBAL_CTRL);
  pmu = pmu_probe();
  CHECK(pmu.version >= 2 && pmu.gp >= 4, "there is a PMU of version %u with %u + %u counters",
        pmu.version, pmu.gp, pmu.fixed);
  CHECK_EQUAL(after_reset, (1ULL << pmu.gp) - 1, "after reset GLOBAL_CTRL enables all GP counters");
  pmu_clear(&pmu);
  check_exact_events();
  check_cycles();
  check_switches();
  check_fixed_counters();
  check_all_together();
}
