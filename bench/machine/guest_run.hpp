// SPDX-License-Identifier: MIT
//
// One guest run inside a process of its own, to see what memory it takes: this program, started
// again as `vpmu_bench --guest-memory IMAGE MIB ARGUMENTS`.
#pragma once

#include <cstdint>
#include <string>

#include "vpmu/base/result.hpp"

namespace vpmu::bench {

struct MemoryUse {
  double peak_bytes = 0;   ///< of the whole process
  double guest_bytes = 0;  ///< of guest RAM that the guest, or its loader, has touched
};

inline constexpr const char* kGuestMemoryOption = "--guest-memory";

/// In the child: runs the guest and prints its memory use. The exit status.
int run_and_print_memory(const std::string& image, std::uint64_t mib, const std::string& arguments);

/// In the parent: runs that child.
Result<MemoryUse> measure_memory(const std::string& guest, std::uint64_t mib,
                                 const std::string& arguments);

}  // namespace vpmu::bench
