// SPDX-License-Identifier: MIT
#include "smp.h"

#include "apic.h"
#include "console.h"
#include "cpu.h"
#include "layout.h"
#include "traps.h"

enum { FW_CFG_SELECTOR = 0x510, FW_CFG_DATA = 0x511, FW_CFG_CPUS = 5 };

extern char trampoline[], trampoline_end[], trampoline_cr3[], trampoline_cr4[];
void smp_ap_start(unsigned cpu);

char smp_stacks[MAX_CPUS * STACK_BYTES] __attribute__((aligned(16)));
volatile uint32_t smp_next_cpu = 1;
static volatile uint32_t running = 1;

unsigned smp_cpus(void) {
  outw(FW_CFG_SELECTOR, FW_CFG_CPUS);
  unsigned cpus = inb(FW_CFG_DATA);
  cpus |= (unsigned)inb(FW_CFG_DATA) << 8;
  return cpus >= 1 && cpus <= MAX_CPUS ? cpus : 1;
}

void smp_ap_start(unsigned cpu) {
  traps_start(cpu);
  apic_start();
  __atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
  smp_serve(cpu);
}

unsigned smp_start(void) {
  apic_start();
  const uint32_t cpus = smp_cpus();
  if (cpus == 1) return 1;
  *(uint32_t*)trampoline_cr3 = (uint32_t)read_cr3();
  *(uint32_t*)trampoline_cr4 = (uint32_t)read_cr4();
  __builtin_memcpy((void*)TRAMPOLINE, trampoline, (uint64_t)(trampoline_end - trampoline));
  apic_send(ICR_INIT | ICR_ASSERT | ICR_ALL_BUT_SELF, 0);
  apic_send(ICR_STARTUP | ICR_ASSERT | ICR_ALL_BUT_SELF | TRAMPOLINE >> 12, 0);
  // The second SIPI that the manual asks for is ignored by CPUs that run already.
  apic_send(ICR_STARTUP | ICR_ASSERT | ICR_ALL_BUT_SELF | TRAMPOLINE >> 12, 0);
  while (running < cpus) pause();
  return running;
}
