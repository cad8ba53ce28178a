// SPDX-License-Identifier: MIT
// Says hello, how it was started and with which command line. One source, three ways of booting.
#include "runtime/boot_information.h"
#include "runtime/check.h"
#include "runtime/layout.h"
#include "runtime/start.h"

void guest_main(void) {
  const unsigned protocol = boot_protocol();
  print("hello from %s\n", protocol == BOOT_MULTIBOOT ? "multiboot"
                           : protocol == BOOT_PVH     ? "PVH"
                                                      : "a freestanding ELF64");
  print("command line: %s\n", command_line());
  guest_exit(0);
}
