// SPDX-License-Identifier: MIT
//
// A fixed computation, the same object file in the guest and in an ordinary process: an independent
// counter of instructions (callgrind) must agree with the guest's.
#pragma once

#include <stdint.h>

uint64_t static_computation(void);
