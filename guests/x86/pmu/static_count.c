// SPDX-License-Identifier: MIT
//
// Counts the instructions of static_computation(), from its first to its RET, with fixed counter 0
// and with a general-purpose counter at once. Prints "instructions N" and "result X", to be
// compared with what callgrind says of the same function.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "static_computation.h"

void guest_main(void) {
  const struct pmu pmu = pmu_probe();
  if (pmu.gp == 0 || pmu.fixed == 0) panic("this machine has no PMU");
  pmu_clear(&pmu);
  pmu_program(0, EVENT_INSTRUCTIONS, EVENTSEL_COUNT, 0);
  wrmsr(MSR_FIXED_CTR_CTRL, FIXED_OS | FIXED_USR);
  const uint64_t result = counted_call(1ULL << 32 | 1, static_computation);
  const uint64_t counted = rdpmc(0), fixed = rdpmc(RDPMC_FIXED | 0);
  print("result %016lx\n", result);
  print("instructions %lu\n", counted - COUNTED_CALL_OVERHEAD);
  CHECK_EQUAL(fixed, counted, "the fixed and the general-purpose counter agree");
}
