// SPDX-License-Identifier: MIT
//
// What the virtual PMU is compared with its reference on: every CPU model with the share of its PMU
// that a guest gets, and hand-made offers of every version of either vendor.
//
// The silicon is the model's with every event on every counter and enough of them, so that the host
// always has room. On a few setups it has not: which counters starve is the host's business, so
// that there only registers that do not depend on counts are compared, and the rest must make
// sense.
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
  bool room = true;         ///< the host has counters for all of the guest's

  [[nodiscard]] bool intel() const { return config.vendor == silicon::x86::Vendor::kIntel; }
};

/// All of them, always in the same order. Static storage.
std::span<const Setup> setups();

}  // namespace vpmu::property
