// SPDX-License-Identifier: MIT
//
// Writes random values to random MSRs, I/O ports and device registers (seed=N, count=N). Faults are
// survived; the guest may well end itself by one of the writes.
#include "runtime/apic.h"
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static uint64_t state;
static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void touch_msr(void* unused) {
  (void)unused;
  static const uint32_t bases[] = {0x0,   0xc0,  0x180,      0x300,     0x380,
                                   0x4c0, 0x800, 0xc0000080, 0xc0010000};
  const uint32_t msr = bases[next_random() % 9] + (uint32_t)(next_random() % 64);
  // Not our own paging mode, stacks and entry points.
  if (msr >= 0xc0000080 && msr <= 0xc0000084) return;
  const uint64_t value = rdmsr(msr);
  wrmsr(msr, value ^ 1ULL << next_random() % 64);
}
static void touch_port(void* unused) {
  (void)unused;
  const uint16_t port = (uint16_t)(next_random() % 0x600);
  if (port == 0xf4 || port == 0x64 || port == 0x92) return;  // exit and reset
  inb(port);
  outb(port, (uint8_t)next_random());
}
static void touch_mmio(void* unused) {
  (void)unused;
  const uint64_t base = next_random() % 2 == 0 ? 0xfee00000 : 0xfec00000;
  volatile uint32_t* reg = (volatile uint32_t*)(base + next_random() % 0x400 / 4 * 4);
  (void)*reg;
  *reg = (uint32_t)next_random();
}

void guest_main(void) {
  state = option_number("seed", 1) * 0x9e3779b97f4a7c15 | 1;
  const uint64_t count = option_number("count", 2000);
  void (*const touches[])(void*) = {touch_msr, touch_port, touch_mmio};
  unsigned faults = 0;
  for (uint64_t i = 0; i < count; ++i) {
    faults += guard(touches[next_random() % 3], 0).vector != NO_TRAP;
  }
  console_start();
  print("%lu writes, %u faults\n", count, faults);
  guest_exit(0);
}
