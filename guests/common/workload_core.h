// SPDX-License-Identifier: MIT
//
// The work that speed is measured with: quicksort of 65,536 keys and a multiplicative hash over
// them. No library, no floating point; the same object file is linked into the guest and into an
// ordinary process, so that both run the same instructions.
#pragma once

#include <stdint.h>

enum { WORKLOAD_KEYS = 65536, WORKLOAD_ROUNDS = 20 };

/// One round: fills keys from the seed, sorts them, returns their hash.
uint64_t workload_round(uint32_t* keys, uint64_t seed);
/// The hashes of all rounds folded into one.
uint64_t workload(uint32_t* keys, uint64_t rounds);
