// SPDX-License-Identifier: MIT
//
// Executes random words, each attempt guarded, at EL1 and EL0, with a seed from the command line
// (seed=N, count=N). Whatever happens is right, as long as vpmu itself ends in one of the ways it
// documents.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/random.h"
#include "runtime/start.h"
#include "runtime/traps.h"

enum { WORDS = 256 };
static uint32_t code[WORDS] __attribute__((aligned(4096)));
USER_DATA static uint32_t user_code[WORDS] __attribute__((aligned(4096)));

/// What ran may have changed anything.
void unexpected_trap(struct trap* frame) {
  (void)frame;
  guest_exit(2);
}

void guest_main(void) {
  random_state = option_number("seed", 1) * 0x9e3779b97f4a7c15 | 1;
  const uint64_t count = option_number("count", 2000);
  unsigned kinds[TRAP_KINDS] = {0};
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t* at = i % 2 == 0 ? code : user_code;
    for (unsigned w = 0; w < WORDS; ++w) at[w] = (uint32_t)(next_random() >> 16);
    sync_code(at, sizeof code);
    const struct trap trap =
        i % 2 == 0 ? guard((void (*)(void*))(uint64_t)code, code)
                   : run_user((struct user_entry){
                         .pc = (uint64_t)user_code, .x0 = (uint64_t)user_code, .x1 = USER_BLOCK});
    if (trap.kind < TRAP_KINDS) ++kinds[trap.kind];
  }
  for (unsigned k = 0; k < TRAP_KINDS; ++k) {
    if (kinds[k] != 0) print("kind 0x%02x: %u times\n", k, kinds[k]);
  }
  guest_exit(0);
}
