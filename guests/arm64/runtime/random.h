// SPDX-License-Identifier: MIT
// The same numbers in every run.
#pragma once

#include <stdint.h>

static uint64_t random_state;
static inline uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}
