// SPDX-License-Identifier: MIT
//
// What EL0 may do with the PMU: PMUSERENR_EL0's bits, one by one.
#include "machine/attempts.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"

USER_CODE static void user_read_userenr(void* unused) {
  (void)unused;
  __asm__ volatile("mrs x1, pmuserenr_el0\nsvc #0x99");
}
USER_CODE static void user_write_userenr(void* unused) {
  (void)unused;
  __asm__ volatile("msr pmuserenr_el0, x1");
}
USER_CODE static void user_read_pmintenset(void* unused) {
  (void)unused;
  __asm__ volatile("mrs x1, pmintenset_el1");
}
USER_CODE static void user_write_pmselr(void* unused) {
  (void)unused;
  __asm__ volatile("msr pmselr_el0, xzr\nsvc #0x99");
}
USER_CODE static void user_write_pmccntr(void* unused) {
  (void)unused;
  __asm__ volatile("msr pmccntr_el0, xzr\nsvc #0x99");
}
USER_CODE static void user_write_pmevcntr1(void* unused) {
  (void)unused;
  __asm__ volatile("msr pmevcntr1_el0, xzr\nsvc #0x99");
}

static const struct access {
  const char* name;
  void (*code)(void*);
  unsigned allowed_by;  ///< besides EN
  uint64_t trap;
} accesses[] = {
    {"reading PMCR", user_read_pmcr, 0, TRAPPED(3, 3, 9, 12, 0, 1, 1)},
    {"writing PMCNTENSET", user_write_pmcntenset, 0, TRAPPED(3, 3, 9, 12, 1, 0, 0)},
    {"writing PMSWINC", user_write_pmswinc, PMUSERENR_SW, TRAPPED(3, 3, 9, 12, 4, 0, 0)},
    {"reading PMCCNTR", user_read_pmccntr, PMUSERENR_CR, TRAPPED(3, 3, 9, 13, 0, 1, 1)},
    {"writing PMCCNTR", user_write_pmccntr, 0, TRAPPED(3, 3, 9, 13, 0, 31, 0)},
    {"reading PMEVCNTR1", user_read_pmevcntr1, PMUSERENR_ER, TRAPPED(3, 3, 14, 8, 1, 1, 1)},
    {"writing PMEVCNTR1", user_write_pmevcntr1, 0, TRAPPED(3, 3, 14, 8, 1, 31, 0)},
    {"reading PMXEVCNTR", user_read_pmxevcntr, PMUSERENR_ER, TRAPPED(3, 3, 9, 13, 2, 1, 1)},
    {"writing PMSELR", user_write_pmselr, PMUSERENR_ER, TRAPPED(3, 3, 9, 12, 5, 31, 0)},
};

static void check_access(const struct access* access) {
  unsigned right = 0;
  for (unsigned bits = 0; bits < 16; ++bits) {
    write_sysreg(pmuserenr_el0, bits);
    isb();
    const bool allowed = (bits & (PMUSERENR_EN | access->allowed_by)) != 0;
    right += allowed ? user_survives(access->code, 0) : user_faults(access->trap, access->code, 0);
  }
  CHECK_EQUAL(right, 16, "%s: with EN%s", access->name,
              access->allowed_by == PMUSERENR_SW   ? " or SW"
              : access->allowed_by == PMUSERENR_CR ? " or CR"
              : access->allowed_by == PMUSERENR_ER ? " or ER"
                                                   : "");
}

USER_CODE static void user_count(void) {
  __asm__ volatile(
      "mrs x0, pmevcntr0_el0\n"
      "nop\n"
      "nop\n"
      "mrs x1, pmevcntr0_el0\n"
      "mrs x2, pmccntr_el0\n"
      "mrs x3, pmccntr_el0\n"
      "svc #0x99\n");
}

void guest_main(void) {
  pmu_start();
  write_sysreg(pmselr_el0, 0);
  for (unsigned i = 0; i < sizeof accesses / sizeof *accesses; ++i) check_access(&accesses[i]);
  write_sysreg(pmuserenr_el0, 0);
  isb();
  CHECK(user_survives(user_read_userenr, 0), "PMUSERENR may always be read");
  write_sysreg(pmuserenr_el0, 15);
  isb();
  CHECK(user_faults(ESR(EC_UNKNOWN, 0), user_write_userenr, 0), "and never be written");
  CHECK(user_faults(ESR(EC_UNKNOWN, 0), user_read_pmintenset, 0), "PMINTENSET is EL1's");
  pmu_arm(0, EVENT_INST_RETIRED, 0);
  pmu_arm(PMU_CYCLE_COUNTER, 0, 0);
  pmu_enable();
  const struct trap trap = run_user((struct user_entry){.pc = (uint64_t)user_count});
  pmu_disable();
  CHECK(trap.x[1] - trap.x[0] == 3 && trap.x[3] - trap.x[2] == 1,
        "EL0 counts its own instructions and cycles");
}
