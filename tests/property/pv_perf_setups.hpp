// SPDX-License-Identifier: MIT
//
// What PV perf is compared with its reference on: two hosts between which the guest migrates, and
// what it is offered on both. The silicon is that of real models, but that a nanosecond is a whole
// number of cycles.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::property {

inline constexpr std::uint64_t kPvPerfCyclesPerNs = 2;

struct PvPerfSetup {
  std::string name;
  std::array<const silicon::x86::CpuModel*, 2> hosts;
  virt::x86::PvPerfConfig config;
  silicon::x86::Vendor guest_vendor = silicon::x86::Vendor::kIntel;
  /// Of a host event in error nobody can know what it counted, until it is off.
  bool silent_errors = false;
};

/// All of them, always in the same order. Static storage.
std::span<const PvPerfSetup> pv_perf_setups();

}  // namespace vpmu::property
