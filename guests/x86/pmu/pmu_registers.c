// SPDX-License-Identifier: MIT
//
// The registers of Intel's architectural performance monitoring, of whatever version this PMU has:
// which there are, what may be written, and what reads back. The word "freeze" on the command line:
// FREEZE_PERFMON_ON_PMI is offered.
#include "access.h"
#include "measured.h"
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/pmu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { FIXED_ANY = 4, VECTOR_PMI = 0x60 };
#define STATUS_CTR_FRZ (1ULL << 59)
#define STATUS_OVF_BUF (1ULL << 62)
#define STATUS_COND_CHGD (1ULL << 63)

static bool any_thread, tsx;

static void check_counters(void) {
  const uint64_t negative = (pmu.gp_mask ^ pmu.gp_mask >> 1) | 1;
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    wrong += !keeps(MSR_PMC0 + i, 0x7fffffff);
    wrong += !becomes(MSR_PMC0 + i, 0x80000000, 0xffffffff80000000 & pmu.gp_mask);
    wrong += !becomes(MSR_PMC0 + i, 0x1234567800000001, 1);
    wrong += !becomes(MSR_PMC0 + i, 0xffffffffffffffff, pmu.gp_mask);
  }
  CHECK_EQUAL(wrong, 0, "IA32_PMCx take 32 bits and extend the sign");
  wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    if (!pmu.full_width) {
      wrong += !absent(MSR_A_PMC0 + i);
      continue;
    }
    wrong += !keeps(MSR_A_PMC0 + i, pmu.gp_mask);
    wrong += !keeps(MSR_A_PMC0 + i, negative);
    wrong += rdmsr(MSR_PMC0 + i) != negative;
    wrong += rdpmc(i) != negative;
    wrong += !refuses(MSR_A_PMC0 + i, pmu.gp_mask + 1);
    wrong += !refuses(MSR_A_PMC0 + i, 1ULL << 63);
  }
  CHECK_EQUAL(wrong, 0, "IA32_A_PMCx %s",
              pmu.full_width ? "take the whole width, and refuse more" : "are not there");
  wrong = 0;
  for (unsigned k = 0; k < pmu.fixed; ++k) {
    wrong += !keeps(MSR_FIXED_CTR0 + k, pmu.fixed_mask - k);
    wrong += !becomes(MSR_FIXED_CTR0 + k, pmu.fixed_mask + 2, 1);
  }
  CHECK_EQUAL(wrong, 0, "fixed counters take their whole width, and cut off the rest");
  pmu_clear();
}

static void check_event_selects(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    uint64_t allowed = 0xffdfffff;
    if (any_thread) allowed |= 1ULL << 21;
    if (tsx) allowed |= 1ULL << 32 | (i == 2 ? 1ULL << 33 : 0);
    // Not enabled, so that the hypervisor has nothing to count.
    wrong += !keeps(MSR_PERFEVTSEL0 + i, allowed & ~(uint64_t)EVENTSEL_EN);
    for (unsigned bit = 0; bit < 64; ++bit) {
      const uint64_t value = 1ULL << bit;
      wrong += (allowed & value) != 0 ? !keeps(MSR_PERFEVTSEL0 + i, value)
                                      : !refuses(MSR_PERFEVTSEL0 + i, value);
    }
    wrong += !keeps(MSR_PERFEVTSEL0 + i, 0);
  }
  CHECK_EQUAL(wrong, 0, "event selects keep bits 31:0 (AnyThread %s, TSX %s), and refuse others",
              any_thread ? "too" : "not", tsx ? "too" : "not");
}

/// Every bit of a register is kept or refused as `allowed` says.
static unsigned wrong_bits(uint32_t msr, uint64_t allowed) {
  unsigned wrong = !keeps(msr, allowed) + !keeps(msr, 0);
  for (unsigned bit = 0; bit < 64; ++bit) {
    const uint64_t value = 1ULL << bit;
    wrong += (allowed & value) != 0 ? !keeps(msr, value) : !refuses(msr, value);
  }
  return wrong + !keeps(msr, 0);
}

static void check_global_registers(void) {
  if (pmu.version < 2) {
    unsigned there = 0;
    for (uint32_t msr = MSR_FIXED_CTR_CTRL; msr <= MSR_PERF_GLOBAL_INUSE; ++msr) {
      there += !absent(msr);
    }
    CHECK_EQUAL(there, 0, "version 1 has no global registers and no fixed counters");
    return;
  }
  uint64_t fixed = 0;
  for (unsigned k = 0; k < pmu.fixed; ++k) {
    fixed |= (uint64_t)(FIXED_OS | FIXED_USR | FIXED_PMI | (any_thread ? FIXED_ANY : 0)) << 4 * k;
  }
  CHECK_EQUAL(wrong_bits(MSR_FIXED_CTR_CTRL, fixed), 0,
              "FIXED_CTR_CTRL keeps enables and PMI of existing counters, no other bit");
  CHECK_EQUAL(wrong_bits(MSR_PERF_GLOBAL_CTRL, pmu_all()), 0,
              "GLOBAL_CTRL keeps a bit for every counter, no other");
  CHECK(refuses(MSR_PERF_GLOBAL_STATUS, 0) && refuses(MSR_PERF_GLOBAL_STATUS, 1),
        "GLOBAL_STATUS is read-only");
  const uint64_t known = pmu_all() | STATUS_OVF_BUF | STATUS_COND_CHGD;
  CHECK(becomes(MSR_PERF_GLOBAL_OVF_CTRL, known, 0),
        "GLOBAL_OVF_CTRL takes a bit for every counter, OvfBuf and CondChgd, and reads 0");
  unsigned accepted = 0;
  for (unsigned bit = 0; bit < 54; ++bit) {
    if ((known >> bit & 1) == 0) accepted += !refuses(MSR_PERF_GLOBAL_OVF_CTRL, 1ULL << bit);
  }
  CHECK_EQUAL(accepted, 0, "it refuses bits of absent counters");
}

static void check_status(void) {
  if (pmu.version < 2) return;
  pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, pmu.gp_mask);
  uint64_t both = 1;
  if (pmu.fixed != 0) both |= pmu_arm_fixed(0, FIXED_OS | FIXED_USR, pmu.fixed_mask).value;
  measured_block((struct pmu_switch){both, pmu.global_ctrl});
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), both, "overflows set their bits in GLOBAL_STATUS");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), both & ~1ULL,
              "GLOBAL_OVF_CTRL clears the bits written");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, both);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 0, "all of them");
  pmu_clear();
}

static void check_version_4(void) {
  if (pmu.version < 4) {
    CHECK(absent(MSR_PERF_GLOBAL_STATUS_SET) && absent(MSR_PERF_GLOBAL_INUSE),
          "before version 4 there are no GLOBAL_STATUS_SET and GLOBAL_INUSE");
    return;
  }
  const uint64_t settable = pmu_all() | STATUS_OVF_BUF;
  CHECK(
      becomes(MSR_PERF_GLOBAL_STATUS_SET, settable, 0) && rdmsr(MSR_PERF_GLOBAL_STATUS) == settable,
      "GLOBAL_STATUS_SET sets what is written, and reads 0");
  CHECK(refuses(MSR_PERF_GLOBAL_STATUS_SET, STATUS_COND_CHGD), "it cannot set CondChgd");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, settable);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 0, "GLOBAL_STATUS_RESET takes it back");

  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_INUSE), 0, "nothing is in use");
  unsigned wrong = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    wrmsr(MSR_PERFEVTSEL0 + i, 0xc0);
    wrong += rdmsr(MSR_PERF_GLOBAL_INUSE) != 1ULL << i;
    wrmsr(MSR_PERFEVTSEL0 + i, 0xc0 | EVENTSEL_INT);
    wrong += rdmsr(MSR_PERF_GLOBAL_INUSE) != (1ULL << i | 1ULL << 63);
    wrmsr(MSR_PERFEVTSEL0 + i, 0);
  }
  for (unsigned k = 0; k < pmu.fixed; ++k) {
    const uint64_t bit = pmu_arm_fixed(k, FIXED_USR, 0).value;
    wrong += rdmsr(MSR_PERF_GLOBAL_INUSE) != bit;
    pmu_arm_fixed(k, FIXED_OS | FIXED_PMI, 0);
    wrong += rdmsr(MSR_PERF_GLOBAL_INUSE) != (bit | 1ULL << 63);
    pmu_arm_fixed(k, 0, 0);
  }
  CHECK_EQUAL(wrong, 0, "GLOBAL_INUSE tells programmed counters, and whether PMIs are asked for");
  CHECK(refuses(MSR_PERF_GLOBAL_INUSE, 0), "it is read-only");
}

static void check_capabilities(void) {
  if ((cpuid(1, 0).ecx >> 15 & 1) == 0) {
    CHECK(absent(MSR_PERF_CAPABILITIES), "without PDCM there is no PERF_CAPABILITIES");
    return;
  }
  const uint64_t capabilities = rdmsr(MSR_PERF_CAPABILITIES);
  CHECK_EQUAL(capabilities & ~(1ULL << 13), 0, "PERF_CAPABILITIES offers no PEBS and no LBR");
  CHECK(refuses(MSR_PERF_CAPABILITIES, capabilities) && refuses(MSR_PERF_CAPABILITIES, 0),
        "it is read-only");
}

static void check_misc_enable(void) {
  const uint64_t value = rdmsr(MSR_MISC_ENABLE);
  CHECK_EQUAL(value & (1 << 7 | 1 << 11 | 1 << 12), 1 << 7 | 1 << 11 | 1 << 12,
              "MISC_ENABLE: performance monitoring is available, BTS and PEBS are not");
  CHECK(becomes(MSR_MISC_ENABLE, value & ~(1ULL << 7), value), "the first keeps its value");
  CHECK(refuses(MSR_MISC_ENABLE, value & ~(1ULL << 11)) &&
            refuses(MSR_MISC_ENABLE, value & ~(1ULL << 12)),
        "the others refuse a change");
}

static void check_debugctl(bool freeze) {
  CHECK(becomes(MSR_DEBUGCTL, 1, 0) && becomes(MSR_DEBUGCTL, 2, 0),
        "DEBUGCTL drops LBR and BTF, without LBRs");
  unsigned accepted = 0;
  for (unsigned bit = 6; bit <= 14; ++bit) {
    if (bit == 12 && freeze) continue;
    if (bit != 13) accepted += !refuses(MSR_DEBUGCTL, 1ULL << bit);
  }
  CHECK_EQUAL(accepted, 0, "it refuses BTS and freezes that are not offered");
  if (freeze) CHECK(keeps(MSR_DEBUGCTL, 1 << 12), "it keeps FREEZE_PERFMON_ON_PMI");
  wrmsr(MSR_DEBUGCTL, 0);
}

/// Counters 0 and 1 count instructions, counter 0 asks for a PMI at the 50th. Interrupts stay off.
static void sled_with_pmi(void) {
  apic_write(APIC_LVT_PERFORMANCE, VECTOR_PMI);
  pmu_arm(0, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT | EVENTSEL_INT, -50ULL & pmu.gp_mask);
  pmu_arm(1, pmu_code(EVENT_INSTRUCTIONS), EVENTSEL_COUNT, 0);
  sled((struct pmu_switch){3, pmu.global_ctrl});
}

static void on_pmi(struct trap* frame) {
  (void)frame;
  apic_eoi();
}

static void check_freeze(void) {
  apic_start();
  set_handler(VECTOR_PMI, on_pmi);
  sled_with_pmi();
  CHECK_EQUAL(rdpmc(1), SLED_LENGTH + 3, "without freeze, counters run on behind a PMI");
  pmu_acknowledge(1);
  wrmsr(MSR_DEBUGCTL, 1 << 12);
  sled_with_pmi();
  CHECK(rdpmc(0) == 0 && rdpmc(1) == 50, "with freeze, both stop at the instruction of the PMI");
  const uint64_t status = rdmsr(MSR_PERF_GLOBAL_STATUS);
  if (pmu.version < 4) {
    CHECK_EQUAL(status, 1, "legacy freeze: only the overflow is in GLOBAL_STATUS");
    wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1);
    wrmsr(MSR_DEBUGCTL, 0);
    sti();
    cli();
    pmu_clear();
    return;
  }
  CHECK_EQUAL(status, STATUS_CTR_FRZ | 1, "streamlined freeze: CTR_Frz says so");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, 1);
  sled((struct pmu_switch){2, pmu.global_ctrl});
  CHECK_EQUAL(rdpmc(1), 50, "they stand still until it is cleared");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, STATUS_CTR_FRZ);
  sled((struct pmu_switch){2, pmu.global_ctrl});
  CHECK_EQUAL(rdpmc(1), 50 + SLED_LENGTH + 3, "and then go on");
  wrmsr(MSR_DEBUGCTL, 0);
  sti();
  cli();
  wrmsr(MSR_PERF_GLOBAL_STATUS_SET, STATUS_CTR_FRZ);
  sled((struct pmu_switch){2, pmu.global_ctrl});
  CHECK_EQUAL(rdpmc(1), 50 + SLED_LENGTH + 3, "software can freeze them, too");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, STATUS_CTR_FRZ);
  pmu_clear();
}

void guest_main(void) {
  pmu_start();
  if (pmu.vendor != PMU_INTEL) panic("this is for Intel's CPUs: pmu_registers_amd.c");
  any_thread = pmu.version >= 3 && (cpuid(0xa, 0).edx >> 15 & 1) == 0;
  tsx = (cpuid(7, 0).ebx & (1 << 4 | 1 << 11)) != 0;
  const bool freeze = option_flag("freeze");
  check_counters();
  check_event_selects();
  check_global_registers();
  check_status();
  check_version_4();
  check_capabilities();
  check_misc_enable();
  check_debugctl(freeze);
  if (freeze && pmu.gp > 1) check_freeze();
}
