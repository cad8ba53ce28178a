// SPDX-License-Identifier: MIT
//
// Operand values at which instructions show their edges: limits of every width, floating-point
// specials, small numbers, and plain random bits.
#pragma once

#include <cstdint>
#include <span>

#include "random.hpp"
#include "state.hpp"

namespace vpmu::differential {

std::uint64_t random_integer(Random& random);
std::uint32_t random_single(Random& random);
std::uint64_t random_double(Random& random);

/// Fills with integers, singles or doubles of the kinds above.
void fill_lanes(Random& random, std::span<std::uint8_t> bytes);
/// An x87 register image (10 bytes).
void fill_extended(Random& random, std::span<std::uint8_t> bytes);

/// Everything but RIP.
CpuState random_state(Random& random);

}  // namespace vpmu::differential
