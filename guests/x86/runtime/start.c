// SPDX-License-Identifier: MIT
#include "start.h"

#include "boot_information.h"
#include "check.h"
#include "layout.h"
#include "traps.h"

static unsigned protocol;
static const void* information;

void runtime_start(unsigned entered_by, const void* boot_info) {
  protocol = entered_by;
  information = boot_info;
  console_start();
  traps_start(0);
  guest_main();
  check_summary();
}

unsigned boot_protocol(void) {
  return protocol;
}
const void* boot_information(void) {
  return information;
}

const char* command_line(void) {
  const uint32_t* words = information;
  const char* line = 0;
  // Freestanding images get multiboot information too.
  if (protocol != BOOT_PVH && (words[0] & 4) != 0) line = (const char*)(uint64_t)words[4];
  // struct hvm_start_info: magic, version, flags, nr_modules, modlist (8 bytes), cmdline (8 bytes).
  if (protocol == BOOT_PVH) line = (const char*)*(const uint64_t*)(words + 6);
  return line != 0 ? line : "";
}
