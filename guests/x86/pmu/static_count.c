// SPDX-License-Identifier: MIT
//
// Counts the instructions of static_computation(), from its first to its RET, with a
// general-purpose counter and, if there is one, fixed counter 0 at once. Prints "instructions N"
// and "result X", to be compared with what callgrind says of the same function.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "static_computation.h"

void guest_main(void) {
  pmu_start();
  struct pmu_switch start = pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, 0);
  if (pmu.fixed != 0) {
    pmu_arm_fixed(0, FIXED_OS | FIXED_USR, 0);
    start.value |= 1ULL << 32;
  }
  const uint64_t result = counted_call(start, static_computation);
  const uint64_t counted = rdpmc(0);
  print("result %016lx\n", result);
  print("instructions %lu\n", counted - COUNTED_CALL_OVERHEAD);
  CHECK(counted > COUNTED_CALL_OVERHEAD, "it counts");
  if (pmu.fixed != 0) {
    CHECK_EQUAL(pmu_fixed(0), counted, "the fixed and the general-purpose counter agree");
  }
}
