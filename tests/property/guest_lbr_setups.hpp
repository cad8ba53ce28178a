// SPDX-License-Identifier: MIT
//
// What virtual last branch records are tried on: every kind of lbr_setups.hpp that a guest can
// have, with every version of PMU that goes with it, on one and two host CPUs; and guests that are
// offered none.
#pragma once

#include <span>
#include <string>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::property {

struct GuestLbrSetup {
  std::string name;
  const silicon::x86::CpuModel* silicon;
  virt::x86::PmuConfig config;
  unsigned host_cpus;
  bool offered;  ///< as long as the host does not take the format out of IA32_PERF_CAPABILITIES
};

/// All of them, always in the same order. Static storage.
std::span<const GuestLbrSetup> guest_lbr_setups();

}  // namespace vpmu::property
