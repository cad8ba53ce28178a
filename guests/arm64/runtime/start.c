// SPDX-License-Identifier: MIT
#include "start.h"

#include "check.h"
#include "device_tree.h"

void runtime_start(const void* device_tree) {
  console_start();
  device_tree_start(device_tree);
  guest_main();
  check_summary();
}

const char* command_line(void) {
  uint32_t length;
  const char* line = device_tree_property("/chosen", "bootargs", &length);
  return line != 0 ? line : "";
}
