// SPDX-License-Identifier: MIT
//
// Counts instructions on general-purpose counter 0 and on fixed counter 0 and looks at both, again
// and again. A filter that denies the first for a while makes it stand still: it keeps its count
// meanwhile, goes on from there, and then is behind by as much as it was denied.
//   rounds=N   how often to look
//   denied=N   instructions for which counter 0 is denied
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

void guest_main(void) {
  pmu_start();
  if (pmu.fixed == 0) {
    check_skip("a fixed counter to compare with");
    return;
  }
  const uint64_t rounds = option_number("rounds", 100000), denied = option_number("denied", 0);
  pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, 0);
  pmu_arm_fixed(0, FIXED_OS | FIXED_USR, 0);
  pmu_enable(1 | 1ULL << 32);
  uint64_t went_back = 0, stood = 0, stops = 0, before = rdpmc(0);
  bool stands = false;
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t now = rdpmc(0);
    went_back += now < before;
    stood += now == before;
    stops += now == before && !stands;
    stands = now == before;
    before = now;
  }
  pmu_disable();
  const uint64_t filtered = rdpmc(0), all = pmu_fixed(0);
  CHECK_EQUAL(went_back, 0, "the counter never goes back");
  CHECK_EQUAL(stops, denied != 0, "it stops %u times", denied != 0);
  CHECK((stood != 0) == (denied != 0), "and stands still for %lu looks", stood);
  CHECK_EQUAL(all - filtered, denied, "of %lu instructions it has not counted %lu", all, denied);
}
