// SPDX-License-Identifier: MIT
//
// Every event of which the count is known on every general-purpose counter and on the fixed
// counters: each counter alone, and all of them at once.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

/// What counter i counts over the block.
static uint64_t count(unsigned i, enum pmu_event event, uint64_t flags) {
  measured_block(pmu_arm(i, pmu_code(event), flags, 0));
  const uint64_t counted = rdpmc(i);
  pmu_arm(i, 0, 0, 0);
  return counted;
}

static void check_exact_events(void) {
  for (unsigned e = 0; e < BLOCK_COUNTS; ++e) {
    const enum pmu_event event = block_counts[e].event;
    if (pmu_code(event) == 0) continue;
    unsigned wrong = 0;
    for (unsigned i = 0; i < pmu.gp; ++i) {
      const uint64_t counted = count(i, event, EVENTSEL_COUNT);
      if (counted != block_counts[e].kernel && ++wrong == 1)
        print("      (counted %lu)\n", counted);
    }
    CHECK(wrong == 0, "%u counters count %lu %s", pmu.gp, block_counts[e].kernel,
          pmu_event_name(event));
  }
}

static void check_cycles(void) {
  const uint64_t first = count(0, EVENT_CYCLES, EVENTSEL_COUNT);
  CHECK(first > BLOCK_INSTRUCTIONS && count(0, EVENT_CYCLES, EVENTSEL_COUNT) == first,
        "cycles of the same code are the same again (%lu)", first);
  if (pmu_code(EVENT_REFERENCE_CYCLES) != 0 && pmu.gp > 1) {
    const uint64_t reference = count(1, EVENT_REFERENCE_CYCLES, EVENTSEL_COUNT);
    CHECK(reference != 0, "reference cycles count (%lu)", reference);
  }
  const uint64_t mispredicts = count(pmu.gp - 1, EVENT_MISPREDICTS, EVENTSEL_COUNT);
  CHECK(mispredicts <= BLOCK_BRANCHES / 4, "few branches of a regular loop are mispredicted (%lu)",
        mispredicts);
}

static void check_switches(void) {
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_COUNT & ~EVENTSEL_EN), 0,
              "a counter without EN stands still");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_USR), 0,
              "one for user mode stands still in kernel mode");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN), 0, "one for no mode stands still");
  CHECK_EQUAL(count(0, EVENT_INSTRUCTIONS, EVENTSEL_EN | EVENTSEL_OS), BLOCK_INSTRUCTIONS,
              "one for kernel mode counts in it");
  if (pmu.global_ctrl != 0) {
    pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, 0);
    measured_block((struct pmu_switch){0, pmu.global_ctrl});
    CHECK_EQUAL(rdpmc(0), 0, "one that is not enabled globally stands still");
  }
  const struct pmu_switch start = pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, 1000);
  measured_block(start);
  measured_block(start);
  CHECK_EQUAL(rdpmc(0), 1000 + 2 * BLOCK_INSTRUCTIONS, "a counter goes on from where it was");
  CHECK_EQUAL(rdmsr(pmu_counter_msr(0)), rdpmc(0), "RDMSR and RDPMC read the same");
  pmu_clear();
}

static void check_fixed_counters(void) {
  if (pmu.fixed < 3) {
    check_skip("fixed counters");
    return;
  }
  for (unsigned k = 0; k < pmu.fixed; ++k) pmu_arm_fixed(k, FIXED_OS | FIXED_USR, 0);
  pmu_arm(0, pmu_code(EVENT_CYCLES), EVENTSEL_COUNT, 0);
  const struct pmu_switch all = {pmu_all(), pmu.global_ctrl};
  measured_block(all);
  CHECK_EQUAL(pmu_fixed(0), BLOCK_INSTRUCTIONS, "fixed counter 0 counts instructions");
  CHECK_EQUAL(pmu_fixed(1), rdpmc(0), "fixed counter 1 counts cycles as counter 0 does");
  CHECK(pmu_fixed(2) != 0, "fixed counter 2 counts reference cycles");
  if (pmu.fixed > 3) {
    CHECK(pmu_fixed(3) >= BLOCK_INSTRUCTIONS, "fixed counter 3 counts slots: %lu", pmu_fixed(3));
  }
  pmu_arm_fixed(0, 0, 5);
  measured_block(all);
  CHECK_EQUAL(pmu_fixed(0), 5, "a fixed counter whose control is 0 stands still");
  pmu_arm_fixed(0, FIXED_USR, 5);
  measured_block(all);
  CHECK_EQUAL(pmu_fixed(0), 5, "one for user mode stands still in kernel mode");
  pmu_clear();
}

/// User code, so that it does not matter when in the kernel each of them started.
static void check_all_together(void) {
  unsigned used[PMU_MOST_COUNTERS], at = 0;
  for (unsigned i = 0; i < pmu.gp; ++i, at = (at + 1) % BLOCK_COUNTS) {
    while (pmu_code(block_counts[at].event) == 0) at = (at + 1) % BLOCK_COUNTS;
    used[i] = at;
    pmu_arm(i, pmu_code(block_counts[at].event), EVENTSEL_EN | EVENTSEL_USR, 0);
  }
  if (pmu.fixed > 0) pmu_arm_fixed(0, FIXED_USR, 0);
  pmu_enable(pmu_all());
  run_user((struct user_entry){.rip = (uint64_t)user_block});
  pmu_disable();
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    if (rdpmc(i) == block_counts[used[i]].user) continue;
    ++wrong;
    print("      (counter %u: %lu %s)\n", i, rdpmc(i), pmu_event_name(block_counts[used[i]].event));
  }
  if (pmu.fixed > 0) wrong += pmu_fixed(0) != block_counts[0].user;
  CHECK_EQUAL(wrong, 0, "%u counters at once count what each counts alone", pmu.gp);
  pmu_clear();
}

void guest_main(void) {
  pmu_start();
  if (pmu.global_ctrl != 0) {
    CHECK_EQUAL(pmu.global_ctrl_at_start, (1ULL << pmu.gp) - 1,
                "after reset GLOBAL_CTRL enables all GP counters, and no other");
  }
  check_exact_events();
  check_cycles();
  check_switches();
  check_fixed_counters();
  check_all_together();
}
