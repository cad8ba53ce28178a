// SPDX-License-Identifier: MIT
#include "split.h"

#include "measured.h"
#include "runtime/pmu.h"

static struct split count_raw(uint64_t code, void (*run)(void*), void* argument) {
  static const uint64_t privileges[3] = {EVENTSEL_USR, EVENTSEL_OS, EVENTSEL_USR | EVENTSEL_OS};
  struct pmu_switch switches[3];
  pmu_clear();
  for (unsigned i = 0; i < 3; ++i) {
    pmu_arm(i, code, privileges[i], 0);
    switches[i] = (struct pmu_switch){code | privileges[i] | EVENTSEL_EN, pmu_select_msr(i)};
  }
  if (pmu.global_ctrl != 0) wrmsr(pmu.global_ctrl, 7);
  start_three(switches);
  run(argument);
  stop_three(switches);
  const struct split split = {rdpmc(0), rdpmc(1), rdpmc(2)};
  pmu_clear();
  return split;
}

static void nothing(void* unused) {
  (void)unused;
}

struct split count_split(uint64_t code, void (*run)(void*), void* argument) {
  const struct split empty = count_raw(code, nothing, 0);
  struct split split = count_raw(code, run, argument);
  split.kernel -= empty.kernel - empty.both;
  return split;
}
