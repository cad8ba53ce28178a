// SPDX-License-Identifier: MIT
//
// How often this process has allocated: operator new counts. For benchmarks and tests of what must
// not.
#pragma once

#include <cstdint>

namespace vpmu::bench {

std::uint64_t allocations();

/// While there is one, allocations that may fail (std::nothrow) do.
class NoMemory {
 public:
  NoMemory();
  ~NoMemory();
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

}  // namespace vpmu::bench
