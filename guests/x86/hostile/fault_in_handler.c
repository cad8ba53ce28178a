// SPDX-License-Identifier: MIT
// Its handler of page faults is in a page that is not there; so is its handler of double faults.
#include "runtime/start.h"
#include "runtime/traps.h"

void guest_main(void) {
  set_gate_target(VECTOR_PF, 0x1000000000);
  set_gate_target(VECTOR_DF, 0x2000000000);
  *(volatile int*)0x3000000000 = 0;
}
