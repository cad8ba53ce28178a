// SPDX-License-Identifier: MIT
//
// Reads random system registers and writes them with a bit changed, and writes random values to
// device registers (seed=N, count=N). Faults are survived; the guest may well end itself by one of
// the writes.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/layout.h"
#include "runtime/random.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { MRS_X0 = 0xd5200000, MSR_X0 = 0xd5000000, RET = 0xd65f03c0 };
static uint32_t code[2] __attribute__((aligned(64)));

static uint64_t run(uint32_t word, uint64_t value) {
  code[0] = word;
  code[1] = RET;
  sync_code(code, sizeof code);
  return ((uint64_t(*)(uint64_t))(uint64_t)code)(value);
}

static void touch_register(void* unused) {
  (void)unused;
  // op0 2 or 3 in bit 19; debug, identification, EL1 control, PMU, GIC, timers.
  static const uint8_t places[][2] = {
      {0, 0},  {1, 0},   {4, 6},  {5, 1},  {6, 0},  {7, 4},   {9, 12}, {9, 14}, {9, 13}, {10, 2},
      {12, 8}, {12, 12}, {13, 0}, {14, 2}, {14, 8}, {14, 12}, {0, 7},  {4, 1},  {9, 9},  {9, 10}};
  const uint64_t random = next_random();
  const uint8_t* place = places[random % 20];
  const uint32_t op1 = (random >> 8 & 3) == 0 ? 3 : (uint32_t)(random >> 10 & 7) % 4;
  uint32_t word = (uint32_t)(random >> 20 & 1) << 19 | 1 << 20 | op1 << 16 |
                  (uint32_t)place[0] << 12 | ((uint32_t)(random >> 24) & 7) << 5;
  word |= (place[1] + (random >> 32 & 1)) % 16 << 8;
  const bool control = place[0] == 1 || (place[0] == 12 && place[1] == 0);
  const uint64_t value = run(MRS_X0 | word, 0);
  // Not our own translation.
  if (!control && place[0] != 2) run(MSR_X0 | word, value ^ 1ULL << next_random() % 64);
}

static void touch_mmio(void* unused) {
  (void)unused;
  static const uint32_t bases[] = {GICD, GICR, GICR + 0x10000, UART};
  const uint64_t random = next_random();
  const uint64_t base = bases[random % 4];
  const uint64_t offset = random >> 8 & (base == UART         ? 0xffc
                                         : (random & 16) != 0 ? 0xfffc
                                                              : 0xffc);
  read32(base + offset);
  write32(base + offset, (uint32_t)next_random());
}

/// System instructions: caches, TLBs, address translation, hints, barriers.
static void touch_instruction(void* unused) {
  (void)unused;
  const uint32_t word = 0xd5080000 | (uint32_t)(next_random() & 0x7ffff);
  run(word, next_random() & 0xffffffff);
}

void guest_main(void) {
  random_state = option_number("seed", 1) * 0x9e3779b97f4a7c15 | 1;
  const uint64_t count = option_number("count", 5000);
  void (*const touches[])(void*) = {touch_register, touch_register, touch_mmio, touch_instruction};
  unsigned faults = 0;
  for (uint64_t i = 0; i < count; ++i) {
    faults += guard(touches[next_random() % 4], 0).kind != NO_TRAP;
  }
  console_start();
  print("%lu accesses, %u faults\n", count, faults);
  guest_exit(0);
}
