// SPDX-License-Identifier: MIT
//
// An event of one piece of code in user mode, in kernel mode and in both, counted by counters 0 to
// 2 at the same time.
#pragma once

#include <stdint.h>

struct split {
  uint64_t user, kernel, both;
};

/// The piece of code is run(argument), in kernel mode; it may enter user mode. What the three count
/// apart because they do not start with the same instruction is taken off. The PMU is cleared.
struct split count_split(uint64_t code, void (*run)(void*), void* argument);
