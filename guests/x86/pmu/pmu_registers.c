// SPDX-License-Identifier: MIT
//
// The PMU's registers: what may be written, what reads back, and what RDPMC accepts in which mode.
#include "measured.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

struct write {
  uint32_t msr;
  uint64_t value;
};
static void do_write(void* argument) {
  const struct write* write = argument;
  wrmsr(write->msr, write->value);
}
static bool refuses(uint32_t msr, uint64_t value) {
  struct write write = {msr, value};
  const uint64_t before = rdmsr(msr);
  const struct trap trap = guard(do_write, &write);
  return trap.vector == VECTOR_GP && trap.error == 0 && rdmsr(msr) == before;
}
static bool keeps(uint32_t msr, uint64_t value) {
  struct write write = {msr, value};
  return guard(do_write, &write).vector == NO_TRAP && rdmsr(msr) == value;
}
static void do_read(void* msr) {
  rdmsr((uint32_t)(uint64_t)msr);
}
static bool absent(uint32_t msr) {
  struct write write = {msr, 0};
  return guard(do_read, (void*)(uint64_t)msr).vector == VECTOR_GP &&
         guard(do_write, &write).vector == VECTOR_GP;
}
static void do_rdpmc(void* index) {
  rdpmc((uint32_t)(uint64_t)index);
}
static bool rdpmc_refuses(uint32_t index) {
  const struct trap trap = guard(do_rdpmc, (void*)(uint64_t)index);
  return trap.vector == VECTOR_GP && trap.error == 0;
}

static void check_counters(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    wrmsr(MSR_PMC0 + i, 0x7fffffff);
    wrong += rdmsr(MSR_PMC0 + i) != 0x7fffffff;
    wrmsr(MSR_PMC0 + i, 0x80000000);
    wrong += rdmsr(MSR_PMC0 + i) != (0xffffffff80000000 & pmu.gp_mask);
    wrmsr(MSR_PMC0 + i, 0x1234567800000001);
    wrong += rdmsr(MSR_PMC0 + i) != 1;
  }
  CHECK_EQUAL(wrong, 0, "IA32_PMCx take 32 bits and extend the sign");
  if (pmu.full_width) {
    wrong = 0;
    for (unsigned i = 0; i < pmu.gp; ++i) {
      wrong += !keeps(MSR_A_PMC0 + i, pmu.gp_mask);
      wrong += !keeps(MSR_A_PMC0 + i, 0x800000000001);
      wrong += rdmsr(MSR_PMC0 + i) != 0x800000000001;
      wrong += rdpmc(i) != 0x800000000001;
      wrong += !refuses(MSR_A_PMC0 + i, pmu.gp_mask + 1);
      wrong += !refuses(MSR_A_PMC0 + i, 1ULL << 63);
    }
    CHECK_EQUAL(wrong, 0, "IA32_A_PMCx take the whole width, and refuse more");
  } else {
    check_skip("full-width writes");
  }
  CHECK(absent(MSR_A_PMC0 + pmu.gp), "a counter that is not there raises #GP");
  wrong = 0;
  for (unsigned k = 0; k < pmu.fixed; ++k) wrong += !keeps(MSR_FIXED_CTR0 + k, pmu.fixed_mask - k);
  CHECK_EQUAL(wrong, 0, "fixed counters take their whole width");
  CHECK(absent(MSR_FIXED_CTR0 + pmu.fixed), "a fixed counter that is not there raises #GP");
}

static void check_controls(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    wrong += !keeps(MSR_PERFEVTSEL0 + i, 0xff9fffff);
    for (unsigned bit = 32; bit < 64; ++bit) wrong += !refuses(MSR_PERFEVTSEL0 + i, 1ULL << bit);
    wrong += !refuses(MSR_PERFEVTSEL0 + i, 1 << 21);
    wrong += !keeps(MSR_PERFEVTSEL0 + i, 0);
  }
  CHECK_EQUAL(wrong, 0, "event selects keep bits 31:0 but ANY, and refuse bits 63:32");

  const uint64_t fixed = (1ULL << 4 * pmu.fixed) - 1;
  CHECK(keeps(MSR_FIXED_CTR_CTRL, fixed & 0xbbb), "FIXED_CTR_CTRL keeps enables and PMI");
  CHECK(refuses(MSR_FIXED_CTR_CTRL, 4) && refuses(MSR_FIXED_CTR_CTRL, 0x400), "but not AnyThread");
  CHECK(refuses(MSR_FIXED_CTR_CTRL, fixed + 1), "nor controls of absent counters");
  wrmsr(MSR_FIXED_CTR_CTRL, 0);

  const uint64_t all = ((1ULL << pmu.fixed) - 1) << 32 | ((1ULL << pmu.gp) - 1);
  CHECK(keeps(MSR_PERF_GLOBAL_CTRL, all) && keeps(MSR_PERF_GLOBAL_CTRL, 0),
        "GLOBAL_CTRL keeps a bit for every counter");
  wrong = 0;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((all >> bit & 1) == 0) wrong += !refuses(MSR_PERF_GLOBAL_CTRL, 1ULL << bit);
  }
  CHECK_EQUAL(wrong, 0, "and refuses every other bit");
  CHECK(refuses(MSR_PERF_GLOBAL_STATUS, 0) && refuses(MSR_PERF_GLOBAL_STATUS, 1),
        "GLOBAL_STATUS is read-only");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, all);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_OVF_CTRL), 0, "GLOBAL_OVF_CTRL reads as 0");
  CHECK(refuses(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << pmu.gp) &&
            refuses(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << (32 + pmu.fixed)),
        "and refuses bits of absent counters");
  if ((cpuid(1, 0).ecx >> 15 & 1) != 0) {
    const uint64_t capabilities = rdmsr(MSR_PERF_CAPABILITIES);
    CHECK(refuses(MSR_PERF_CAPABILITIES, capabilities), "PERF_CAPABILITIES is read-only");
  }
}

static void check_status(void) {
  pmu_clear();
  pmu_arm(1, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, pmu.gp_mask);
  pmu_arm_fixed(0, FIXED_OS | FIXED_USR, pmu.fixed_mask);
  measured_block((struct pmu_switch){1ULL << 32 | 2, pmu.global_ctrl});
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 1ULL << 32 | 2,
              "overflows set their bits in GLOBAL_STATUS");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 2);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 1ULL << 32, "GLOBAL_OVF_CTRL clears the bits written");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << 32);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 0, "all of them");
  pmu_clear();
}

static struct trap user_reads(uint32_t index) {
  return run_user((struct user_entry){.rip = (uint64_t)user_rdpmc, .rdi = index});
}

static void check_rdpmc(void) {
  CHECK(rdpmc_refuses(pmu.gp) && rdpmc_refuses(64), "RDPMC of an absent counter raises #GP(0)");
  CHECK(rdpmc_refuses(RDPMC_FIXED | pmu.fixed), "also of an absent fixed counter");
  CHECK(rdpmc_refuses(0x80000000) && rdpmc_refuses(0x20000000),
        "RDPMC knows neither the fast bit nor metrics");
  pmu_write(0, 0x5678abcd);
  const struct trap denied = user_reads(0);
  CHECK(denied.vector == VECTOR_GP && denied.error == 0, "user mode needs CR4.PCE for RDPMC");
  write_cr4(read_cr4() | CR4_PCE);
  const struct trap allowed = user_reads(0);
  CHECK(allowed.vector == VECTOR_USER_EXIT && allowed.rax == 0x5678abcd && allowed.rdx == 0,
        "with it, it reads the counter");
  CHECK(user_reads(pmu.gp).vector == VECTOR_GP, "but no absent one");
  write_cr4(read_cr4() & ~(uint64_t)CR4_PCE);
  CHECK(user_reads(0).vector == VECTOR_GP, "and no more when CR4.PCE is cleared");
}

void guest_main(void) {
  pmu_start();
  check_counters();
  pmu_clear();
  check_controls();
  check_status();
  check_rdpmc();
}
