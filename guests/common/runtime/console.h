// SPDX-License-Identifier: MIT
//
// Text on the serial port, and the end of the guest through what the machine has for that.
#pragma once

#include <stdint.h>

void console_start(void);
void put_char(char c);
/// %s %c %d %i %u %x %p %%, with h-less l and z, width, '-', '0' and ' (thousands apart by commas).
void print(const char* format, ...) __attribute__((format(printf, 1, 2)));

/// Ends the run; the host's exit status is (value << 1) | 1. 0: passed, 1: failed.
_Noreturn void guest_exit(uint32_t value);
/// Says why, then guest_exit(1).
_Noreturn void panic(const char* why);
