// SPDX-License-Identifier: MIT
//
// Executes random bytes, each attempt guarded, with a seed from the command line (seed=N, count=N).
// Whatever happens is right, as long as vpmu itself ends in one of the ways it documents.
#include "runtime/check.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static uint8_t code[4096] __attribute__((aligned(4096)));

static void run(void* start) {
  __asm__ volatile("call *%0"
                   :
                   : "r"(start)
                   : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                     "r13", "r14", "r15", "memory", "cc");
}

void guest_main(void) {
  uint64_t state = option_number("seed", 1) * 0x9e3779b97f4a7c15 | 1;
  const uint64_t count = option_number("count", 200);
  unsigned vectors[32] = {0};
  for (uint64_t i = 0; i < count; ++i) {
    for (unsigned b = 0; b < sizeof code; ++b) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      code[b] = (uint8_t)(state >> 32);
    }
    const struct trap trap = guard(run, code);
    if (trap.vector < 32) ++vectors[trap.vector];
  }
  for (unsigned v = 0; v < 32; ++v) {
    if (vectors[v] != 0) print("vector %2u: %u times\n", v, vectors[v]);
  }
  guest_exit(0);
}
