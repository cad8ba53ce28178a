// SPDX-License-Identifier: MIT
#include "pmu.h"

#include "console.h"

struct pmu pmu;

bool pmu_probe(void) {
  pmu.version = read_sysreg(id_aa64dfr0_el1) >> 8 & 15;
  if (pmu.version == 0 || pmu.version == 15) return false;
  pmu.counters = read_sysreg(pmcr_el0) >> 11 & 31;
  pmu.wide = pmu.version >= 6;
  pmu.all = PMU_CYCLES | ((1ULL << pmu.counters) - 1);
  pmu.pmcr = PMCR_LC;
  pmu.pmceid[0] = read_sysreg(pmceid0_el0);
  pmu.pmceid[1] = read_sysreg(pmceid1_el0);
  return true;
}

void pmu_start(void) {
  if (!pmu_probe()) panic("this machine has no PMU");
  pmu_clear();
  print("PMUv3 version %u: %u event counters\n", pmu.version, pmu.counters);
}

bool pmu_has(unsigned event) {
  // 0x0000 to 0x003f in the lower halves, 0x4000 to 0x403f in the upper ones.
  const unsigned bit = (event & 0x1f) + (event >= 0x4000 ? 32 : 0);
  return (event & ~0x403fu) == 0 && (pmu.pmceid[event >> 5 & 1] >> bit & 1) != 0;
}

void pmu_write(unsigned i, uint64_t value) {
  if (i == PMU_CYCLE_COUNTER) {
    write_sysreg(pmccntr_el0, value);
  } else {
    write_sysreg(pmselr_el0, i);
    isb();
    write_sysreg(pmxevcntr_el0, value);
  }
}

uint64_t pmu_read(unsigned i) {
  if (i == PMU_CYCLE_COUNTER) return read_sysreg(pmccntr_el0);
  write_sysreg(pmselr_el0, i);
  isb();
  return read_sysreg(pmxevcntr_el0);
}

void pmu_arm(unsigned i, uint64_t type, uint64_t value) {
  write_sysreg(pmselr_el0, i);
  isb();
  write_sysreg(pmxevtyper_el0, type);  // of 31: PMCCFILTR_EL0
  pmu_write(i, value);
  write_sysreg(pmcntenset_el0, 1ULL << i);
  isb();
}

void pmu_clear(void) {
  write_sysreg(pmcr_el0, pmu.pmcr | PMCR_P | PMCR_C);
  write_sysreg(pmcntenclr_el0, ~0ULL);
  write_sysreg(pmintenclr_el1, ~0ULL);
  write_sysreg(pmovsclr_el0, ~0ULL);
  write_sysreg(pmuserenr_el0, 0);
  for (unsigned i = 0; i < pmu.counters; ++i) {
    write_sysreg(pmselr_el0, i);
    isb();
    write_sysreg(pmxevtyper_el0, 0);
  }
  write_sysreg(pmccfiltr_el0, 0);
  isb();
}
