// SPDX-License-Identifier: MIT
#include "smp.h"

#include "cpu.h"
#include "device_tree.h"
#include "gic.h"
#include "layout.h"
#include "psci.h"

void secondary_entry(void);
void smp_cpu_start(unsigned cpu);

char smp_stacks[MAX_CPUS * STACK_BYTES] __attribute__((aligned(16)));
static volatile uint32_t running = 1;

unsigned smp_cpus(void) {
  const unsigned cpus = device_tree_children("/cpus", "cpu@");
  return cpus >= 1 && cpus <= MAX_CPUS ? cpus : 1;
}

void smp_cpu_start(unsigned cpu) {
  gic_start();
  __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
  smp_serve(cpu);
}

unsigned smp_start(void) {
  gic_start();
  const unsigned cpus = smp_cpus();
  for (unsigned cpu = 1; cpu < cpus; ++cpu) {
    if (psci(PSCI_CPU_ON, cpu, (uint64_t)secondary_entry, cpu) != PSCI_SUCCESS) break;
    while (running <= cpu) pause();
  }
  return running;
}
