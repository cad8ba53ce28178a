// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// Runs code(first, second) in user mode, interrupts masked; true if it ended with the system call
/// for that.
bool user_call(void (*code)(uint64_t, uint64_t), uint64_t stack, uint64_t first, uint64_t second);
