// SPDX-License-Identifier: MIT
#include "start.h"

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
