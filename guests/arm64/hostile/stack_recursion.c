// SPDX-License-Identifier: MIT
// Each fault's handler faults again, until the stack has eaten its way down to what is not memory.
#include "runtime/start.h"
#include "runtime/traps.h"

static void fault_again(struct trap* frame) {
  (void)frame;
  __asm__ volatile("udf #0");
}

void guest_main(void) {
  set_handler(EC_UNKNOWN, fault_again);
  __asm__ volatile("udf #0");
}
