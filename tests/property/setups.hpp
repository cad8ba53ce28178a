// SPDX-License-Identifier: MIT
//
// What the virtual PMU is compared with its reference on: every CPU model with the share of its PMU
// that a guest gets, and hand-made offers of every version of either vendor.
//
// The silicon is the model's with a counter for every event on every counter, so that the host
// always has room: which counter starves is the host's business and no property of a guest's PMU.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::property {

struct Setup {
  std::string name;
  const silicon::x86::CpuModel* silicon;
  virt::x86::PmuConfig config;
  bool conditions = false;  ///< the host can count conditions on cycles

  [[nodiscard]] bool intel() const { return config.vendor == silicon::x86::Vendor::kIntel; }
};

/// All of them, always in the same order. Static storage.
std::span<const Setup> setups();

}  // namespace vpmu::property
