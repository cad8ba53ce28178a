// SPDX-License-Identifier: MIT
//
// How large a machine is to be, whatever its architecture.
#pragma once

#include <cstdint>

#include "vpmu/base/result.hpp"

namespace vpmu::machine {

inline constexpr unsigned kMaxHostCpus = 64;

struct MachineShape {
  unsigned vcpus = 1;
  unsigned most_vcpus = 1;  ///< that such a machine can have
  unsigned host_cpus = 0;   ///< 0: as many as vCPUs
  std::uint64_t quantum = 1;
};

/// The error names the option that gives another number.
Result<void> check(const MachineShape& shape);

}  // namespace vpmu::machine
