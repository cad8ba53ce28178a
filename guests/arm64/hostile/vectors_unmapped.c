// SPDX-License-Identifier: MIT
// An exception whose vector is not mapped: it raises the next one, for ever.
#include "runtime/cpu.h"
#include "runtime/start.h"

void guest_main(void) {
  write_sysreg(vbar_el1, 0x123450000800);
  isb();
  __asm__ volatile("udf #0");
}
