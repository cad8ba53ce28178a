// SPDX-License-Identifier: MIT
// Says hello, on which CPU, and with which command line.
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

void guest_main(void) {
  print("hello from EL%lu of MIDR 0x%08lx\n", read_sysreg(currentel) >> 2, read_sysreg(midr_el1));
  print("command line: %s\n", command_line());
  guest_exit(0);
}
