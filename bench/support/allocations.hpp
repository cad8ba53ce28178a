// SPDX-License-Identifier: MIT
//
// How often this process has allocated: operator new counts. For benchmarks and tests of what must
// not.
#pragma once

#include <cstdint>

namespace vpmu::bench {

std::uint64_t allocations();

}  // namespace vpmu::bench
