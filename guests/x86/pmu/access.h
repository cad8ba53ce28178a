// SPDX-License-Identifier: MIT
//
// Accesses to MSRs and counters that may fault: what became of them. A refusal is #GP(0), and
// nothing has changed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// WRMSR refuses, and the register is as before.
bool refuses(uint32_t msr, uint64_t value);
/// WRMSR takes the value, and RDMSR gives `result`.
bool becomes(uint32_t msr, uint64_t value, uint64_t result);
/// WRMSR takes the value, and RDMSR gives it.
bool keeps(uint32_t msr, uint64_t value);
/// WRMSR takes any value, and RDMSR gives the same as before.
bool ignores(uint32_t msr, uint64_t value);
/// RDMSR and WRMSR refuse.
bool absent(uint32_t msr);
/// RDMSR gives zero, and WRMSR changes nothing.
bool drops(uint32_t msr);
bool rdpmc_refuses(uint32_t index);
