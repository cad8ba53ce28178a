// SPDX-License-Identifier: MIT
//
// RDPMC of PV perf's events: CR4.PCE in user mode, indices that are not there, and the short ones
// where there is no PMU ("pmu=off"). "absent": the feature is not offered.
#include "offer.h"
#include "pmu/access.h"
#include "pmu/user_rdpmc.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static uint64_t value_of(unsigned i) {
  return (0x123456789abc + i) & pvperf_mask(&pv);
}
static unsigned accepted(bool (*faults)(uint32_t)) {
  unsigned taken = !faults(PVPERF_RDPMC_BASE + pv.events) + !faults(PVPERF_RDPMC_BASE + 255);
  taken += !faults(PVPERF_RDPMC_BASE - 1) + !faults(PVPERF_RDPMC_BASE + 0x10000);
  return taken + !faults(0xffffffff) + !faults(0x80000000 | PVPERF_RDPMC_BASE);
}

static void check_full_indices(void) {
  CHECK(user_faults(PVPERF_RDPMC_BASE), "user mode needs CR4.PCE for RDPMC");
  write_cr4(read_cr4() | CR4_PCE);
  unsigned wrong = 0;
  for (unsigned i = 0; i < pv.events; ++i) wrong += !user_gets(PVPERF_RDPMC_BASE + i, value_of(i));
  CHECK_EQUAL(wrong, 0, "with CR4.PCE it reads every event, into the low halves of RAX and RDX");
  CHECK_EQUAL(accepted(user_faults), 0, "but none that is not there");
  write_cr4(read_cr4() & ~(uint64_t)CR4_PCE);
  CHECK(user_faults(PVPERF_RDPMC_BASE), "and none any more when CR4.PCE is cleared");
  for (unsigned i = 0; i < pv.events; ++i) wrong += pvperf_read_rdpmc(i) != value_of(i);
  CHECK_EQUAL(wrong, 0, "kernel mode does not need it");
  CHECK_EQUAL(accepted(rdpmc_refuses), 0, "and gets none that is not there, either");
}

static void check_short_indices(void) {
  if (option_text("pmu") == 0) {
    CHECK(rdpmc_refuses(63), "with a PMU short indices are the PMU's");
    return;
  }
  unsigned wrong = 0;
  for (unsigned i = 0; i < pv.events; ++i) wrong += rdpmc(i) != value_of(i);
  CHECK_EQUAL(wrong, 0, "without a PMU the event's number will do");
  CHECK(rdpmc_refuses(pv.events) && rdpmc_refuses(255), "if there is such an event");
  CHECK(user_faults(0), "and CR4.PCE is needed, too");
}

void guest_main(void) {
  pv_start();
  for (unsigned i = 0; i < pv.events; ++i) wrmsr(pv_bank(i, PVPERF_BANK_COUNT), value_of(i));
  if (option_flag("absent")) {
    CHECK(!pvperf_has(&pv, PVPERF_FEATURE_RDPMC_TRAP), "RDPMC is not offered");
    CHECK(rdpmc_refuses(PVPERF_RDPMC_BASE), "and refused");
    CHECK_EQUAL(pvperf_read_exact(&(struct pvperf_cpu){.info = &pv}, 1), value_of(1),
                "the driver reads registers then");
    return;
  }
  check_full_indices();
  check_short_indices();
  CHECK_EQUAL(pvperf_read_exact(&(struct pvperf_cpu){.info = &pv}, 1), value_of(1),
              "the driver reads it so");
}
