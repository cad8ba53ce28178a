// SPDX-License-Identifier: MIT
// Ends with the debug-exit value from its command line (value=N), or by the port that powers off
// (poweroff) or resets (reset).
#include "runtime/check.h"
#include "runtime/cpu.h"
#include "runtime/start.h"

void guest_main(void) {
  if (option_flag("poweroff")) {
    outw(0x604, 0x2000);  // ACPI PM1a control: soft off
    for (const char* c = "Shutdown"; *c != 0; ++c) outb(0x8900, (uint8_t)*c);
  }
  if (option_flag("reset")) outb(0xcf9, 6);
  guest_exit((uint32_t)option_number("value", 0));
}
