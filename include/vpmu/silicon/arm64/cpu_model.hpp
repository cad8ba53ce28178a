// SPDX-License-Identifier: MIT
//
// AArch64 CPU models as data: identity, clocks, performance monitoring unit and events. A new model
// is one file in src/silicon/arm64/models and a line in cpu_model.cpp.
//
// The identification registers offer what the machine executes, no more: a model is a real core's
// identity and PMU with that instruction set; one whose MIDR_EL1 names no implementer is no real
// core.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "vpmu/silicon/arm64/event_table.hpp"
#include "vpmu/silicon/arm64/spe_model.hpp"
#include "vpmu/silicon/memory_hierarchy.hpp"

namespace vpmu::silicon::arm64 {

/// The performance monitoring unit of the silicon, before a hypervisor takes its share.
struct PmuModel {
  std::uint8_t version = 0;         ///< ID_AA64DFR0_EL1.PMUVer
  std::uint8_t event_counters = 0;  ///< PMCR_EL0.N; the cycle counter is one more
};

/// MIDR_EL1.Implementer: who made the core. 0 is left to software.
enum class Implementer : std::uint8_t { kSoftware = 0, kArm = 0x41 };

struct CpuModel {
  std::string_view name;  ///< as on the command line
  std::uint32_t midr;     ///< MIDR_EL1
  std::uint64_t hz;       ///< core clock, one fixed frequency
  /// CNTFRQ_EL0: the generic counter's frequency, of which `hz` is a multiple.
  std::uint64_t counter_hz;
  PmuModel pmu;
  std::span<const EventRow> events;  ///< sorted by number
  MemoryHierarchy memory{};          ///< what silicon/memory_model.hpp models
  std::uint8_t slots_per_cycle = 1;  ///< operations dispatched per cycle
  SpeModel spe{};                    ///< version 0: it has no such unit

  [[nodiscard]] Implementer implementer() const { return static_cast<Implementer>(midr >> 24); }
};

/// All models, sorted by name. Static storage.
std::span<const CpuModel* const> cpu_models();
/// The model of that name; null if there is none.
const CpuModel* find_cpu_model(std::string_view name);

/// "PMUv3", "PMUv3.1" for Armv8.1, "PMUv3.4", "PMUv3.5", "PMUv3.7": of ID_AA64DFR0_EL1.PMUVer. Null
/// for what is none of them.
const char* pmu_version_name(std::uint8_t version);

}  // namespace vpmu::silicon::arm64
