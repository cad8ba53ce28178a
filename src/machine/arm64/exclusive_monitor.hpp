// SPDX-License-Identifier: MIT
//
// The monitor of exclusive accesses, which all CPUs of a machine share: dynarmic's. Only for what
// includes dynarmic anyway.
#pragma once

#include <dynarmic/interface/exclusive_monitor.h>

#include <cstddef>

namespace vpmu::machine::arm64 {

struct ExclusiveMonitor {
  explicit ExclusiveMonitor(std::size_t cpus) : dynarmic{cpus} {}

  Dynarmic::ExclusiveMonitor dynarmic;
};

}  // namespace vpmu::machine::arm64
