// SPDX-License-Identifier: MIT
// Each fault's handler faults again, until the stack has eaten its way down to what is not memory.
#include "runtime/cpu.h"
#include "runtime/start.h"
#include "runtime/traps.h"

static void fault_again(struct trap* frame) {
  (void)frame;
  __asm__ volatile("ud2");
}

void guest_main(void) {
  set_handler(VECTOR_UD, fault_again);
  __asm__ volatile("ud2");
}
