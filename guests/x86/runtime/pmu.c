// SPDX-License-Identifier: MIT
#include "pmu.h"

#include "console.h"

struct pmu pmu;

// ---- What the models call their events ----------------------------------------------------------
// Intel: SDM vol. 3B table 20-1 for the architectural ones, the rest as Intel's event files of HSX,
// SKX, ICX and SPR have them. AMD: the PPRs, and Linux's generic events where the PPRs have only
// bits.

#define AMD(event, mask) ((uint64_t)(event) >> 8 << 32 | (uint64_t)(mask) << 8 | ((event)&0xff))

#define INTEL_ARCHITECTURAL                                                          \
  [EVENT_CYCLES] = 0x003c, [EVENT_INSTRUCTIONS] = 0x00c0, [EVENT_BRANCHES] = 0x00c4, \
  [EVENT_REFERENCE_CYCLES] = 0x013c, [EVENT_MISPREDICTS] = 0x00c5,                   \
  [EVENT_LLC_REFERENCES] = 0x4f2e, [EVENT_LLC_MISSES] = 0x412e
#define INTEL_SINCE_HASWELL                                                                       \
  INTEL_ARCHITECTURAL, [EVENT_TAKEN_BRANCHES] = 0x20c4, [EVENT_CALLS] = 0x02c4,                   \
                       [EVENT_RETURNS] = 0x08c4, [EVENT_LOADS] = 0x81d0, [EVENT_STORES] = 0x82d0, \
                       [EVENT_L1D_MISSES] = 0x0151, [EVENT_L1D_LOAD_MISSES] = 0x08d1,             \
                       [EVENT_DTLB_LOAD_WALKS] = 0x11d0, [EVENT_DTLB_STORE_WALKS] = 0x12d0
#define INTEL_SINCE_SKYLAKE INTEL_SINCE_HASWELL, [EVENT_ACCESSES] = 0x83d0
#define AMD_ZEN                                                                   \
  [EVENT_CYCLES] = AMD(0x76, 0), [EVENT_INSTRUCTIONS] = AMD(0xc0, 0),             \
  [EVENT_BRANCHES] = AMD(0xc2, 0), [EVENT_MISPREDICTS] = AMD(0xc3, 0),            \
  [EVENT_TAKEN_BRANCHES] = AMD(0xc4, 0), [EVENT_RETURNS] = AMD(0xc8, 0),          \
  [EVENT_CONDITIONAL_BRANCHES] = AMD(0xd1, 0), [EVENT_LOADS] = AMD(0x29, 1),      \
  [EVENT_STORES] = AMD(0x29, 2), [EVENT_READ_MODIFY_WRITES] = AMD(0x29, 4),       \
  [EVENT_ACCESSES] = AMD(0x40, 0), [EVENT_L1D_MISSES] = AMD(0x60, 0xc8),          \
  [EVENT_LLC_REFERENCES] = AMD(0x64, 0x08), [EVENT_LLC_MISSES] = AMD(0x43, 0x08), \
  [EVENT_DTLB_MISSES] = AMD(0x45, 0xff), [EVENT_DTLB_WALKS] = AMD(0x45, 0xf0)

static const uint64_t no_events[PMU_EVENTS];
static const uint64_t intel_architectural[PMU_EVENTS] = {INTEL_ARCHITECTURAL};
static const uint64_t haswell[PMU_EVENTS] = {
    INTEL_SINCE_HASWELL, [EVENT_CONDITIONAL_BRANCHES] = 0x01c4};
static const uint64_t skylake[PMU_EVENTS] = {
    INTEL_SINCE_SKYLAKE, [EVENT_CONDITIONAL_BRANCHES] = 0x01c4};
static const uint64_t ice_lake[PMU_EVENTS] = {
    INTEL_SINCE_SKYLAKE, [EVENT_CONDITIONAL_BRANCHES] = 0x11c4, [EVENT_INDIRECT_BRANCHES] = 0x80c4,
    [EVENT_SLOTS] = 0x01a4};
static const uint64_t zen2[PMU_EVENTS] = {AMD_ZEN};
static const uint64_t zen4[PMU_EVENTS] = {
    AMD_ZEN, [EVENT_REFERENCE_CYCLES] = AMD(0x120, 1), [EVENT_INDIRECT_BRANCHES] = AMD(0xcc, 0)};

static const char* const event_names[PMU_EVENTS] = {
    [EVENT_CYCLES] = "cycles",
    [EVENT_INSTRUCTIONS] = "instructions",
    [EVENT_REFERENCE_CYCLES] = "reference cycles",
    [EVENT_LLC_REFERENCES] = "LLC references",
    [EVENT_LLC_MISSES] = "LLC misses",
    [EVENT_BRANCHES] = "branches",
    [EVENT_MISPREDICTS] = "mispredicted branches",
    [EVENT_SLOTS] = "slots",
    [EVENT_CONDITIONAL_BRANCHES] = "conditional branches",
    [EVENT_TAKEN_BRANCHES] = "taken branches",
    [EVENT_INDIRECT_BRANCHES] = "indirect branches",
    [EVENT_CALLS] = "near calls",
    [EVENT_RETURNS] = "near returns",
    [EVENT_LOADS] = "loads",
    [EVENT_STORES] = "stores",
    [EVENT_ACCESSES] = "loads and stores",
    [EVENT_READ_MODIFY_WRITES] = "read-modify-writes",
    [EVENT_L1D_MISSES] = "L1D misses",
    [EVENT_L1D_LOAD_MISSES] = "L1D load misses",
    [EVENT_DTLB_MISSES] = "DTLB misses",
    [EVENT_DTLB_WALKS] = "DTLB walks",
    [EVENT_DTLB_LOAD_WALKS] = "DTLB load walks",
    [EVENT_DTLB_STORE_WALKS] = "DTLB store walks",
};

uint64_t pmu_code(enum pmu_event event) {
  return pmu.codes[event];
}
const char* pmu_event_name(enum pmu_event event) {
  return event_names[event];
}

// ---- Which PMU ----------------------------------------------------------------------------------

struct signature {
  unsigned family, model;
};
static struct signature signature(void) {
  const uint32_t eax = cpuid(1, 0).eax;
  const unsigned family = eax >> 8 & 0xf, model = eax >> 4 & 0xf;
  return (struct signature){family == 0xf ? family + (eax >> 20 & 0xff) : family,
                            model | (eax >> 16 & 0xf) << 4};
}

static void probe_intel(void) {
  if (cpuid(0, 0).eax < 0xa) return;
  const struct cpuid leaf = cpuid(0xa, 0);
  if ((leaf.eax & 0xff) == 0) return;
  const bool capabilities = (cpuid(1, 0).ecx >> 15 & 1) != 0;
  pmu = (struct pmu){
      .vendor = PMU_INTEL,
      .version = leaf.eax & 0xff,
      .gp = leaf.eax >> 8 & 0xff,
      .gp_mask = (1ULL << (leaf.eax >> 16 & 0xff)) - 1,
      .full_width = capabilities && (rdmsr(MSR_PERF_CAPABILITIES) >> 13 & 1) != 0,
      .masks_lvt = true,
      .select0 = MSR_PERFEVTSEL0,
      .stride = 1,
      .codes = intel_architectural,
  };
  pmu.counter0 = pmu.full_width ? MSR_A_PMC0 : MSR_PMC0;
  if (pmu.version > 1) {
    pmu.fixed = leaf.edx & 0x1f;
    pmu.fixed_mask = (1ULL << (leaf.edx >> 5 & 0xff)) - 1;
    pmu.global_ctrl = MSR_PERF_GLOBAL_CTRL;
    pmu.status = MSR_PERF_GLOBAL_STATUS;
    pmu.status_clear = MSR_PERF_GLOBAL_OVF_CTRL;
  }
  const struct signature cpu = signature();
  if (cpu.family == 6 && cpu.model == 0x3f) pmu.codes = haswell;
  if (cpu.family == 6 && cpu.model == 0x55) pmu.codes = skylake;
  if (cpu.family == 6 && (cpu.model == 0x6a || cpu.model == 0x8f)) pmu.codes = ice_lake;
}

/// CPUID cannot say that an AMD CPU has no counters; registers that keep nothing can.
static bool amd_counts(void) {
  if (rdmsr(MSR_K7_EVNTSEL0) != 0) return true;
  wrmsr(MSR_K7_PERFCTR0, 1);
  const bool kept = rdmsr(MSR_K7_PERFCTR0) == 1;
  wrmsr(MSR_K7_PERFCTR0, 0);
  return kept;
}

static void probe_amd(void) {
  if (!amd_counts()) return;
  pmu = (struct pmu){
      .vendor = PMU_AMD,
      .version = 1,
      .gp = 4,
      .gp_mask = (1ULL << 48) - 1,
      .full_width = true,
      .select0 = MSR_K7_EVNTSEL0,
      .counter0 = MSR_K7_PERFCTR0,
      .stride = 1,
      .codes = signature().family >= 0x19 ? zen4 : zen2,
  };
  if ((cpuid(0x80000001, 0).ecx >> 23 & 1) != 0) {
    pmu.gp = 6;
    pmu.select0 = MSR_F15H_PERF_CTL0;
    pmu.counter0 = MSR_F15H_PERF_CTR0;
    pmu.stride = 2;
  }
  if (cpuid(0x80000000, 0).eax < 0x80000022) return;
  const struct cpuid leaf = cpuid(0x80000022, 0);
  if ((leaf.eax & 1) == 0) return;
  pmu.version = 2;
  pmu.gp = leaf.ebx & 0xf;
  pmu.global_ctrl = MSR_AMD_GLOBAL_CTRL;
  pmu.status = MSR_AMD_GLOBAL_STATUS;
  pmu.status_clear = MSR_AMD_GLOBAL_STATUS_CLEAR;
}

bool pmu_probe(void) {
  pmu = (struct pmu){.codes = no_events};
  const uint32_t vendor = cpuid(0, 0).ebx;
  if (vendor == 0x756e6547) probe_intel();  // "Genu"
  if (vendor == 0x68747541) probe_amd();    // "Auth"
  if (pmu.vendor == PMU_NONE) return false;
  if (pmu.global_ctrl != 0) pmu.global_ctrl_at_start = rdmsr(pmu.global_ctrl);
  return true;
}

void pmu_start(void) {
  if (!pmu_probe()) panic("this machine has no PMU");
  pmu_clear();
  print("PMU: %s version %u, %u + %u counters\n", pmu.vendor == PMU_AMD ? "AMD" : "Intel",
        pmu.version, pmu.gp, pmu.fixed);
}

// ---- Counters -----------------------------------------------------------------------------------

struct pmu_switch pmu_arm(unsigned i, uint64_t code, uint64_t flags, uint64_t value) {
  wrmsr(pmu_select_msr(i), 0);
  pmu_write(i, value);
  if (pmu.global_ctrl != 0) {
    wrmsr(pmu_select_msr(i), code | flags);
    return (struct pmu_switch){1ULL << i, pmu.global_ctrl};
  }
  wrmsr(pmu_select_msr(i), (code | flags) & ~(uint64_t)EVENTSEL_EN);
  return (struct pmu_switch){code | flags, pmu_select_msr(i)};
}

struct pmu_switch pmu_arm_fixed(unsigned k, uint64_t control, uint64_t value) {
  const uint64_t others = rdmsr(MSR_FIXED_CTR_CTRL) & ~(0xfULL << 4 * k);
  wrmsr(MSR_FIXED_CTR_CTRL, others);
  wrmsr(MSR_FIXED_CTR0 + k, value);
  wrmsr(MSR_FIXED_CTR_CTRL, others | control << 4 * k);
  return (struct pmu_switch){1ULL << (32 + k), pmu.global_ctrl};
}

void pmu_enable(uint64_t counters) {
  if (pmu.global_ctrl != 0) {
    wrmsr(pmu.global_ctrl, counters);
    return;
  }
  for (unsigned i = 0; i < pmu.gp; ++i) {
    const uint32_t msr = pmu_select_msr(i);
    if ((counters >> i & 1) != 0) wrmsr(msr, rdmsr(msr) | EVENTSEL_EN);
  }
}

void pmu_disable(void) {
  if (pmu.global_ctrl != 0) {
    wrmsr(pmu.global_ctrl, 0);
    return;
  }
  for (unsigned i = 0; i < pmu.gp; ++i) {
    const uint32_t msr = pmu_select_msr(i);
    wrmsr(msr, rdmsr(msr) & ~(uint64_t)EVENTSEL_EN);
  }
}

void pmu_clear(void) {
  pmu_disable();
  for (unsigned i = 0; i < pmu.gp; ++i) pmu_arm(i, 0, 0, 0);
  if (pmu.fixed != 0) wrmsr(MSR_FIXED_CTR_CTRL, 0);
  for (unsigned k = 0; k < pmu.fixed; ++k) wrmsr(MSR_FIXED_CTR0 + k, 0);
  pmu_acknowledge(pmu_overflows(0));
}

uint64_t pmu_overflows(uint64_t armed) {
  if (pmu.status != 0) return rdmsr(pmu.status);
  const uint64_t sign = pmu.gp_mask ^ pmu.gp_mask >> 1;
  uint64_t overflows = 0;
  for (unsigned i = 0; i < pmu.gp; ++i) {
    if ((armed >> i & 1) != 0 && (rdpmc(i) & sign) == 0) overflows |= 1ULL << i;
  }
  return overflows;
}

void pmu_acknowledge(uint64_t counters) {
  if (pmu.status_clear != 0) wrmsr(pmu.status_clear, counters);
}
