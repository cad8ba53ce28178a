// SPDX-License-Identifier: MIT
//
// RDPMC in user mode: CR4.PCE, and indices that are not there.
#include "access.h"
#include "user_rdpmc.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static const uint32_t bad_indices[] = {64, 0xff, 0x10000, 0x20000000, 0x80000000, 0xffffffff};
enum { BAD_INDICES = sizeof bad_indices / sizeof *bad_indices };

static unsigned accepted_bad_indices(bool (*faults)(uint32_t)) {
  unsigned accepted = !faults(pmu.gp) + !faults(RDPMC_FIXED | pmu.fixed);
  for (unsigned b = 0; b < BAD_INDICES; ++b) accepted += !faults(bad_indices[b]);
  return accepted;
}

static uint64_t fixed_value(unsigned k) {
  return (0x123456789ab0 + k) & pmu.fixed_mask;
}

void guest_main(void) {
  pmu_start();
  for (unsigned i = 0; i < pmu.gp; ++i) pmu_write(i, 0x70000000 + i);
  // Fixed counters have always been writable in full.
  for (unsigned k = 0; k < pmu.fixed; ++k) wrmsr(MSR_FIXED_CTR0 + k, fixed_value(k));

  CHECK(user_faults(0), "user mode needs CR4.PCE for RDPMC");
  CHECK_EQUAL(accepted_bad_indices(user_faults), 0, "an absent counter is a fault all the more");
  write_cr4(read_cr4() | CR4_PCE);
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) wrong += !user_gets(i, 0x70000000 + i);
  for (unsigned k = 0; k < pmu.fixed; ++k) wrong += !user_gets(RDPMC_FIXED | k, fixed_value(k));
  CHECK_EQUAL(wrong, 0, "with CR4.PCE it reads every counter, into the low halves of RAX and RDX");
  CHECK_EQUAL(accepted_bad_indices(user_faults), 0, "but no absent one, and no fast or other type");
  write_cr4(read_cr4() & ~(uint64_t)CR4_PCE);
  CHECK(user_faults(0), "and none any more when CR4.PCE is cleared");
  wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) wrong += rdpmc(i) != 0x70000000 + i;
  CHECK_EQUAL(wrong, 0, "kernel mode does not need it");
  CHECK_EQUAL(accepted_bad_indices(rdpmc_refuses), 0, "and gets no absent counter either");
}
