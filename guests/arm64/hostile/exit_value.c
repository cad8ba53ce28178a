// SPDX-License-Identifier: MIT
// Ends with the value from its command line (value=N): by semihosting, by the exit device (device),
// by semihosting's shorter and longer ways (short, extended), or by PSCI (poweroff, reset).
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/layout.h"
#include "runtime/psci.h"
#include "runtime/start.h"

enum { SYS_WRITE0 = 4, SYS_ERRNO = 0x13, SYS_EXIT = 0x18, SYS_EXIT_EXTENDED = 0x20 };

static uint64_t semihosting(uint64_t operation, const void* parameter) {
  register uint64_t x0 __asm__("x0") = operation;
  register const void* x1 __asm__("x1") = parameter;
  __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
  return x0;
}

void guest_main(void) {
  const uint32_t value = (uint32_t)option_number("value", 0);
  const uint64_t application_exit[2] = {0x20026, value};
  if (option_flag("print")) {
    semihosting(SYS_WRITE0, "written by semihosting\n");
    if (semihosting(SYS_ERRNO, 0) == ~0ULL) print("what there is not returns -1\n");
  }
  if (option_flag("poweroff")) psci(PSCI_SYSTEM_OFF, 0, 0, 0);
  if (option_flag("reset")) psci(PSCI_SYSTEM_RESET, 0, 0, 0);
  if (option_flag("off")) psci(PSCI_CPU_OFF, 0, 0, 0);
  if (option_flag("device")) write32(EXIT_DEVICE, value);
  if (option_flag("extended")) semihosting(SYS_EXIT_EXTENDED, application_exit);
  const uint64_t no_application_exit[2] = {0x20023, 0};
  if (option_flag("error")) semihosting(SYS_EXIT, no_application_exit);
  guest_exit(value);
}
