// SPDX-License-Identifier: MIT
//
// Counts a loop with the events on the command line, one on each counter, and ends with the
// counters still on: what the report says of each is checked from outside.
//   events=CODE,...   in hexadecimal, as in a select register
//   still=N           the set of counters that should stand still; the others should not
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

void guest_main(void) {
  pmu_start();
  const uint64_t still = option_number("still", 0);
  const char* at = option_text("events");
  unsigned count = 0;
  for (; at != 0 && *at != 0 && *at != ' ' && count < pmu.gp; ++count) {
    pmu_arm(count, parse_hexadecimal(&at), EVENTSEL_COUNT, 0);
    if (*at == ',') ++at;
  }
  CHECK(count != 0, "there are %u events", count);
  pmu_enable((1ULL << count) - 1);
  for (volatile unsigned i = 0; i < 1000; ++i) {
  }
  uint64_t counts[PMU_MOST_COUNTERS];
  for (unsigned i = 0; i < count; ++i) counts[i] = rdpmc(i);
  for (unsigned i = 0; i < count; ++i) {
    const bool should_stand = (still >> i & 1) != 0;
    CHECK_EQUAL(counts[i] == 0, should_stand, "counter %u %s", i,
                should_stand ? "stands still" : "counts");
  }
}
