// SPDX-License-Identifier: MIT
#include "start.h"

#include "check.h"
#include "console.h"
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

/// The text after `name` where it starts a word, or null.
static const char* find(const char* name) {
  for (const char* word = command_line(); *word != 0;) {
    const char* w = word;
    const char* n = name;
    while (*n != 0 && *w == *n) ++w, ++n;
    if (*n == 0) return w;
    while (*word != 0 && *word != ' ') ++word;
    while (*word == ' ') ++word;
  }
  return 0;
}

const char* option_text(const char* name) {
  const char* at = find(name);
  return at != 0 && *at == '=' ? at + 1 : 0;
}

uint64_t option_number(const char* name, uint64_t otherwise) {
  const char* at = option_text(name);
  if (at == 0) return otherwise;
  uint64_t value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) value = value * 10 + (uint64_t)(*at - '0');
  return value;
}

uint64_t parse_hexadecimal(const char** at) {
  uint64_t value = 0;
  for (;; ++*at) {
    const char c = **at;
    if (c >= '0' && c <= '9') {
      value = value << 4 | (uint64_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4 | (uint64_t)(c - 'a' + 10);
    } else {
      return value;
    }
  }
}

bool option_flag(const char* name) {
  const char* at = find(name);
  return at != 0 && (*at == 0 || *at == ' ');
}
