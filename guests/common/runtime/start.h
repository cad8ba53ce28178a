// SPDX-License-Identifier: MIT
//
// What every guest has: guest_main(), called in long mode or at EL1 with console and traps working
// and interrupts disabled, and the command line. Returning from guest_main() is check_summary().
#pragma once

#include <stdbool.h>
#include <stdint.h>

void guest_main(void);

/// Never null.
const char* command_line(void);

/// What follows "NAME=" on the command line, which ends at the next space; null if it is not there.
const char* option_text(const char* name);
/// The number after "NAME=" on the command line.
uint64_t option_number(const char* name, uint64_t otherwise);
/// The hexadecimal number at *at, which is moved behind it; no digits are 0.
uint64_t parse_hexadecimal(const char** at);
/// True if the word NAME is on the command line.
bool option_flag(const char* name);
