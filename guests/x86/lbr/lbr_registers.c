// SPDX-License-Identifier: MIT
//
// The registers of last branch records: which there are, what may be written, what reads back, and
// that the procedures pass by which guests find them. Options:
//   absent   the guest is offered none
#include "pmu/access.h"
#include "pmu/measured.h"
#include "runtime/check.h"
#include "runtime/lbr.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { OLD_FROM = 0x40, OLD_TO = 0x60, LEGACY_DEPTH = 32 };
#define INFO_MISPREDICTED (1ULL << 63)
#define NOT_CANONICAL (1ULL << 47)

/// How many of `count` MSRs from `first` on are not absent.
static unsigned there(uint32_t first, unsigned count) {
  unsigned found = 0;
  for (unsigned i = 0; i < count; ++i) found += !absent(first + i);
  return found;
}
static unsigned legacy_there(void) {
  return there(MSR_LBR_SELECT, 2) + there(MSR_LBR_FROM, LEGACY_DEPTH) +
         there(MSR_LBR_TO, LEGACY_DEPTH) + there(MSR_LBR_INFO, LEGACY_DEPTH);
}
static unsigned architectural_there(void) {
  return there(MSR_ARCH_LBR_CTL, 2) + there(MSR_ARCH_LBR_FROM, LBR_MOST) +
         there(MSR_ARCH_LBR_TO, LBR_MOST) + there(MSR_ARCH_LBR_INFO, LBR_MOST);
}

// ---- PERF_CAPABILITIES and DEBUGCTL -------------------------------------------------------------

static void check_capabilities(void) {
  if (cpuid(0, 0).ebx != 0x756e6547 || (cpuid(1, 0).ecx >> 15 & 1) == 0) return;
  const uint64_t value = rdmsr(MSR_PERF_CAPABILITIES);
  unsigned taken = !refuses(MSR_PERF_CAPABILITIES, value) + !refuses(MSR_PERF_CAPABILITIES, 0);
  for (unsigned bit = 0; bit < 64; ++bit) {
    taken += !refuses(MSR_PERF_CAPABILITIES, value ^ 1ULL << bit);
  }
  CHECK_EQUAL(taken, 0, "a guest cannot write PERF_CAPABILITIES, not even what it is");
}

static void check_debugctl(void) {
  enum { BTF = 1 << 1 };
  if (lbr.kind == LBR_LEGACY) {
    CHECK(keeps(MSR_DEBUGCTL, DEBUGCTL_LBR), "DEBUGCTL keeps LBR");
    CHECK(keeps(MSR_DEBUGCTL, DEBUGCTL_LBR | DEBUGCTL_FREEZE_LBRS_ON_PMI),
          "and LBR with FREEZE_LBRS_ON_PMI");
    CHECK(becomes(MSR_DEBUGCTL, DEBUGCTL_LBR | BTF, DEBUGCTL_LBR), "it drops BTF");
  } else {
    CHECK(becomes(MSR_DEBUGCTL, DEBUGCTL_LBR, 0), "DEBUGCTL drops LBR if there are no legacy LBRs");
  }
  if (lbr.kind != LBR_NONE) {
    CHECK(keeps(MSR_DEBUGCTL, DEBUGCTL_FREEZE_LBRS_ON_PMI), "DEBUGCTL keeps FREEZE_LBRS_ON_PMI");
    unsigned taken = 0;
    for (unsigned bit = 6; bit <= 10; ++bit) {
      taken += !refuses(MSR_DEBUGCTL, DEBUGCTL_FREEZE_LBRS_ON_PMI | 1ULL << bit);
    }
    CHECK_EQUAL(taken, 0, "it refuses branch trace messages, and keeps its value");
  } else if (cpuid(0, 0).ebx == 0x756e6547) {
    CHECK(refuses(MSR_DEBUGCTL, DEBUGCTL_FREEZE_LBRS_ON_PMI),
          "DEBUGCTL refuses FREEZE_LBRS_ON_PMI");
  }
  wrmsr(MSR_DEBUGCTL, 0);
}

static void check_status(void) {
  if (pmu.version < 4) return;
  lbr_clear();
  wrmsr(MSR_PERF_GLOBAL_STATUS_SET, STATUS_LBR_FRZ);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), STATUS_LBR_FRZ, "GLOBAL_STATUS_SET sets LBR_FRZ");
  branch_loop(lbr_arm(LBR_EVERYTHING), 10);
  struct lbr_record records[LBR_MOST];
  CHECK_EQUAL(lbr_read_all(records), 0, "while it is set nothing is recorded");
  wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, STATUS_LBR_FRZ);
  CHECK_EQUAL(rdmsr(MSR_PERF_GLOBAL_STATUS), 0, "GLOBAL_STATUS_RESET clears it");
  branch_loop(lbr_arm(LBR_EVERYTHING), 10);
  CHECK_EQUAL(lbr_read_all(records), 9, "and the nine jumps of a loop are recorded");
  lbr_clear();
}

// ---- Records ------------------------------------------------------------------------------------

static void check_record_registers(void) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < lbr.depth; ++i) {
    for (unsigned k = 0; k < 2; ++k) {
      const uint32_t msr = (k == 0 ? lbr.from : lbr.to) + i;
      wrong += !keeps(msr, 0x123456789abc + i) + !keeps(msr, 0xffff800000000000 + i);
      if (lbr.info != 0) wrong += !refuses(msr, NOT_CANONICAL);
    }
  }
  CHECK_EQUAL(wrong, 0, "FROM and TO keep addresses, and refuse what is none");
  if (lbr.info == 0) return;
  wrong = 0;
  for (unsigned i = 0; i < lbr.depth; ++i) {
    wrong += !keeps(lbr.info + i, INFO_MISPREDICTED | (0x1234 + i)) + !keeps(lbr.info + i, 0xffff);
  }
  CHECK_EQUAL(wrong, 0, "INFO keeps the flag and the cycles");
  lbr_clear();
  struct lbr_record records[LBR_MOST];
  CHECK_EQUAL(lbr_read_all(records), 0, "cleared records are empty");
}

static void check_beyond(void) {
  unsigned found = 0;
  const unsigned room = lbr.kind == LBR_LEGACY ? 64 : 256;  // up to the next kind of register
  for (unsigned i = lbr.depth; i < room; ++i) {
    if (!absent(lbr.from + i)) ++found;
    if (lbr.to + i != MSR_TSC_DEADLINE && !absent(lbr.to + i)) ++found;
  }
  for (unsigned i = lbr.depth; lbr.info != 0 && i < 64; ++i) found += !absent(lbr.info + i);
  CHECK_EQUAL(found, 0, "registers of records beyond %u are not there", lbr.depth);
  CHECK_EQUAL(there(OLD_FROM, 8) + there(OLD_TO, 8), 0, "those of older CPUs neither");
}

static void check_legacy(void) {
  unsigned wrong = 0;
  for (uint64_t value = 0; value <= LBR_SELECT_BITS; ++value)
    wrong += !keeps(MSR_LBR_SELECT, value);
  CHECK_EQUAL(wrong, 0, "LBR_SELECT keeps any ten bits");
  unsigned taken = 0;
  for (unsigned bit = 10; bit < 64; ++bit) taken += !refuses(MSR_LBR_SELECT, 1ULL << bit);
  CHECK_EQUAL(taken, 0, "and refuses all others");
  wrong = 0;
  for (unsigned value = 0; value < lbr.depth; ++value) wrong += !keeps(MSR_LBR_TOS, value);
  CHECK_EQUAL(wrong, 0, "LBR_TOS keeps the number of any record");
  CHECK_EQUAL(architectural_there(), 0, "there are no architectural LBRs");
  wrmsr(MSR_LBR_SELECT, 0);
  wrmsr(MSR_LBR_TOS, 0);
}

/// IA32_LBR_DEPTH makes the stack as deep as CPUID.1CH says it can be, and empties it.
static void check_depths(void) {
  const uint32_t depths = cpuid(0x1c, 0).eax & 0xff;
  unsigned wrong = 0, left = 0, outside = 0;
  struct lbr_record records[LBR_MOST];
  for (unsigned depth = 0; depth <= 70; ++depth) {
    const bool possible =
        depth != 0 && depth % 8 == 0 && depth <= 64 && (depths >> (depth / 8 - 1) & 1) != 0;
    if (!possible) {
      wrong += !refuses(MSR_ARCH_LBR_DEPTH, depth);
      continue;
    }
    branch_loop(lbr_arm(LBR_EVERYTHING), 100);
    wrong += !keeps(MSR_ARCH_LBR_DEPTH, depth);
    outside += depth < lbr.depth && !absent(lbr.from + depth);
    outside += depth < lbr.depth && !absent(lbr.info + lbr.depth - 1);
    branch_loop(lbr_arm(LBR_EVERYTHING), 100);
    outside += absent(lbr.from + depth - 1) || rdmsr(lbr.from + depth - 1) == 0;
    wrmsr(MSR_ARCH_LBR_DEPTH, lbr.depth);
    left += lbr_read_all(records);
  }
  CHECK_EQUAL(wrong, 0, "IA32_LBR_DEPTH keeps what CPUID.1CH has, and refuses everything else");
  CHECK_EQUAL(outside, 0, "the stack is as deep as it says");
  CHECK_EQUAL(left, 0, "writing it empties the stack");
}

static void check_architectural(void) {
  const struct cpuid leaf = cpuid(0x1c, 0);
  CHECK(cpuid(0, 0).eax >= 0x1c && (leaf.eax & 0xff) != 0, "CPUID.1CH says how deep they can be");
  CHECK_EQUAL(leaf.ebx & 7, 7, "they filter by privilege and kind, and keep call stacks");
  CHECK_EQUAL(leaf.ecx & 7, 7, "they say mispredictions, cycles and kinds");
  unsigned wrong = 0;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const uint64_t value = 1ULL << bit;
    wrong += ((LBR_EVERYTHING | LBR_CALL_STACK | LBR_ENABLE) & value) != 0
                 ? !keeps(MSR_ARCH_LBR_CTL, value)
                 : !refuses(MSR_ARCH_LBR_CTL, value);
  }
  CHECK_EQUAL(wrong, 0, "IA32_LBR_CTL keeps its bits, and refuses all others");
  lbr_clear();
  check_depths();
  CHECK_EQUAL(legacy_there(), 0, "there are no legacy LBRs");
}

// ---- What guests do to find them ----------------------------------------------------------------

/// The procedure of a well-known test: find the base, count the records, fill them.
static void check_test_procedure(void) {
  if (lbr.kind != LBR_LEGACY) return;
  CHECK(absent(OLD_FROM) && absent(OLD_TO), "writing the bases of older CPUs faults");
  CHECK(becomes(MSR_LBR_FROM, 0, 0) && becomes(MSR_LBR_TO, 0, 0) && becomes(MSR_LBR_SELECT, 0, 0) &&
            becomes(MSR_LBR_TOS, 0, 0),
        "writing zeroes to the newer ones, LBR_SELECT and LBR_TOS does not");
  unsigned count = 0;
  while (count <= LBR_MOST && becomes(MSR_LBR_FROM + count, 0, 0) &&
         becomes(MSR_LBR_TO + count, 0, 0)) {
    ++count;
  }
  CHECK_EQUAL(count, lbr.depth, "the first record that faults is number %u", lbr.depth);
  measured_block(lbr_arm(LBR_EVERYTHING));
  unsigned empty = 0;
  for (unsigned i = 0; i < count; ++i) {
    empty += rdmsr(MSR_LBR_FROM + i) == 0;
    empty += rdmsr(MSR_LBR_TO + i) == 0;
  }
  CHECK_EQUAL(empty, 0, "a loop with calls fills all records, and they stay when recording stops");
  lbr_clear();
}

/// As Linux tests a register at boot when it runs under a hypervisor.
static bool keeps_flipped(uint32_t msr, uint64_t mask) {
  const uint64_t before = rdmsr(msr), flipped = before ^ mask;
  wrmsr(msr, flipped);
  const bool kept = rdmsr(msr) == flipped;
  wrmsr(msr, before);
  return kept && rdmsr(msr) == before;
}
static void check_boot_probe(void) {
  unsigned wrong = 0;
  if (lbr.kind == LBR_LEGACY) wrong += !keeps_flipped(MSR_LBR_TOS, 3);
  for (unsigned i = 0; i < lbr.depth; ++i) {
    wrong += !keeps_flipped(lbr.from + i, 0xffff);
    wrong += !keeps_flipped(lbr.to + i, 0xffff);
  }
  CHECK_EQUAL(wrong, 0, "all registers pass the test that Linux makes at boot");
}

static void check_absent(void) {
  CHECK_EQUAL(legacy_there(), 0, "legacy LBRs are not there");
  CHECK_EQUAL(architectural_there(), 0, "architectural LBRs are not there");
  CHECK((cpuid(7, 0).edx >> 19 & 1) == 0 &&
            (cpuid(0, 0).eax < 0x1c || (cpuid(0x1c, 0).eax & 0xff) == 0),
        "CPUID does not have any");
}

void guest_main(void) {
  pmu_probe();
  const bool found = lbr_probe();
  if (option_flag("absent")) {
    CHECK(!found, "no LBRs are offered");
    check_capabilities();
    check_debugctl();
    check_absent();
    return;
  }
  check_boot_probe();  // before anything else has touched them
  lbr_start();
  CHECK_EQUAL(lbr.format,
              lbr.kind == LBR_ARCHITECTURAL ? 0x3f
              : lbr.info != 0               ? 5
                                            : 4,
              "PERF_CAPABILITIES has their format");
  check_capabilities();
  check_debugctl();
  check_status();
  check_record_registers();
  check_beyond();
  if (lbr.kind == LBR_LEGACY) check_legacy();
  if (lbr.kind == LBR_ARCHITECTURAL) check_architectural();
  check_test_procedure();
}
