// SPDX-License-Identifier: MIT
//
// What of a PMU a guest is offered. Fixed when its vCPUs are created; the bits of every register,
// and which registers exist at all, follow from it.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::virt::arm64 {

struct PmuConfig {
  /// ID_AA64DFR0_EL1.PMUVer; 0: no PMU. 1 (Armv8.0), 4 (Armv8.1), 5 (Armv8.4), 6 (Armv8.5).
  std::uint8_t version = 0;
  std::uint8_t event_counters = 0;  ///< PMCR_EL0.N, 0 to 31
  /// EL0 can be AArch32: PMCR_EL0.LC and D can be written. Otherwise the cycle counter overflows at
  /// 64 bits.
  bool aarch32 = false;
  /// PMMIR_EL1.SLOTS: 0 unless STALL_SLOT can be counted.
  std::uint8_t slots = 0;
  /// Which common events the host can count: PMCEID0_EL0 and PMCEID1_EL0, but for SW_INCR and
  /// CHAIN. A guest sees the upper halves since Armv8.1.
  std::array<std::uint64_t, 2> common_events{};

  friend bool operator==(const PmuConfig&, const PmuConfig&) = default;
};

/// Whether there can be such a PMU.
bool possible(const PmuConfig& config);

/// The guest's share of a model's PMU: all of it, up to Armv8.5, but for the events of SPE.
PmuConfig guest_pmu(const silicon::arm64::CpuModel& model);

/// The same PMU for a guest that has SPE: with the model's events of SPE.
PmuConfig with_sample_events(PmuConfig config, const silicon::arm64::CpuModel& model);

/// Event counters have 64 bits, PMCR_EL0.LP says where they overflow, and there is no CHAIN.
constexpr bool has_long_counters(const PmuConfig& config) {
  return config.version >= silicon::arm64::kPmuV3p5;
}

}  // namespace vpmu::virt::arm64
