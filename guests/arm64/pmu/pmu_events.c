// SPDX-License-Identifier: MIT
//
// Every common event that this PMU says it counts, and the recommended ones that all models have,
// over code of which they are known, in every counter.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/start.h"

static uint64_t counted(unsigned i, unsigned event) {
  pmu_clear();
  pmu_arm(i, event, 0);
  measured_block(pmu_switch());
  return pmu_read(i);
}

static void check_common(void) {
  for (unsigned e = 0; e < BLOCK_COUNTS; ++e) {
    if (!pmu_has(block_counts[e].event)) {
      check_skip(block_counts[e].name);
      continue;
    }
    bool all = true;
    for (unsigned i = 0; i < pmu.counters; ++i) {
      const uint64_t count = counted(i, block_counts[e].event);
      if (count != block_counts[e].count) print("      (counter %u: %lu)\n", i, count);
      all = all && count == block_counts[e].count;
    }
    CHECK(all, "%s: %lu, in every counter", block_counts[e].name, block_counts[e].count);
  }
}

static void check_recommended(void) {
  for (unsigned e = 0; e < RECOMMENDED_COUNTS; ++e) {
    CHECK_EQUAL(counted(e % pmu.counters, recommended_counts[e].event), recommended_counts[e].count,
                "%s", recommended_counts[e].name);
  }
}

/// All at once, the cycle counter too.
static void check_together(void) {
  pmu_clear();
  unsigned events[31];
  unsigned used = 0;
  for (unsigned e = 0; e < BLOCK_COUNTS && used < pmu.counters; ++e) {
    if (!pmu_has(block_counts[e].event)) continue;
    events[used] = e;
    pmu_arm(used++, block_counts[e].event, 0);
  }
  pmu_arm(PMU_CYCLE_COUNTER, 0, 0);
  measured_block(pmu_switch());
  bool all = true;
  for (unsigned i = 0; i < used; ++i) all = all && pmu_read(i) == block_counts[events[i]].count;
  CHECK(all, "%u events at once", used);
  CHECK_EQUAL(pmu_read(PMU_CYCLE_COUNTER), BLOCK_INSTRUCTIONS, "and PMCCNTR_EL0 with them");
}

static void check_unknown(void) {
  unsigned silent = 0, asked = 0;
  for (unsigned event = 0; event < 0x40; ++event) {
    if (pmu_has(event) || event == EVENT_CHAIN) continue;
    ++asked;
    if (counted(0, event) == 0) ++silent;
  }
  CHECK_EQUAL(silent, asked, "common events that PMCEID does not have count nothing");
}

/// A second time, and with the caches as they are: nothing is left over.
static void check_repeated(void) {
  bool all = true;
  for (unsigned round = 0; round < 100; ++round) {
    all = all && counted(0, EVENT_INST_RETIRED) == BLOCK_INSTRUCTIONS;
  }
  CHECK(all, "the same a hundred times");
}

/// Loops of every length up to 300.
static void check_loops(void) {
  bool all = true;
  for (uint64_t rounds = 1; rounds <= 300; ++rounds) {
    pmu_clear();
    pmu_arm(0, EVENT_INST_RETIRED, 0);
    pmu_arm(1, EVENT_BR_PRED, 0);
    branch_loop(pmu_switch(), rounds);
    all = all && pmu_read(0) == 2 * rounds + 1 && pmu_read(1) == rounds;
  }
  CHECK(all, "loops of 1 to 300 rounds");
}

void guest_main(void) {
  pmu_start();
  check_common();
  check_recommended();
  check_together();
  check_unknown();
  check_repeated();
  check_loops();
}
