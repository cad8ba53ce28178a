// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pmu_config.hpp"

#include <algorithm>

#include "vpmu/silicon/x86/pmu_registers.hpp"
#include "vpmu/virt/x86/lbr_offer.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::LbrFormat;
using silicon::x86::Vendor;

namespace {

bool possible_on_amd(const PmuConfig& config) {
  constexpr unsigned kK7Counters = 4, kMost = 6;
  if (config.version > 2 || config.gp_counters < kK7Counters || config.gp_counters > kMost) {
    return false;
  }
  if (!config.core_extension && (config.version > 1 || config.gp_counters != kK7Counters)) {
    return false;
  }
  return config.fixed_counters == 0 && !config.has_perf_capabilities && !config.freeze_on_pmi &&
         !config.tsx;
}

/// Formats that are modelled.
bool possible_lbrs(const PmuConfig& config) {
  switch (lbr_format(config.perf_capabilities)) {
    case LbrFormat::k32:
    case LbrFormat::kEipFlags:
    case LbrFormat::kEipFlags2:
    case LbrFormat::kInfo: return true;
    case LbrFormat::kArchitectural: return config.version >= kArchitecturalLbrVersion;
    default: return false;
  }
}

bool possible_on_intel(const PmuConfig& config) {
  constexpr unsigned kMostFixed = 4;
  if (config.version > 5 || config.gp_counters == 0 || config.fixed_counters > kMostFixed) {
    return false;
  }
  if (config.version == 1 && (config.fixed_counters != 0 || config.freeze_on_pmi)) return false;
  if (config.fixed_counters != 0 && (config.fixed_width == 0 || config.fixed_width > 63)) {
    return false;
  }
  if (!possible_lbrs(config)) return false;
  return !config.core_extension && !config.host_guest_only;
}

}  // namespace

bool possible(const PmuConfig& config) {
  constexpr unsigned kMostGp = 8;
  if (!config.has_perf_capabilities && config.perf_capabilities != 0) return false;
  if (config.version == 0) {
    return config.gp_counters == 0 && config.fixed_counters == 0 && config.perf_capabilities == 0;
  }
  if (config.gp_counters > kMostGp || config.gp_width == 0 || config.gp_width > 63) return false;
  return config.vendor == Vendor::kAmd ? possible_on_amd(config) : possible_on_intel(config);
}

namespace {

PmuConfig amd_guest_pmu(const silicon::x86::PmuModel& pmu) {
  constexpr std::uint8_t kMaxVersion = 2, kK7Counters = 4, kMaxCore = 6;
  if (pmu.gp_counters < kK7Counters) return no_pmu(Vendor::kAmd);
  const bool core_extension = pmu.gp_counters > kK7Counters || pmu.version > 1;
  return {.vendor = Vendor::kAmd,
          .version = std::min(pmu.version, kMaxVersion),
          .gp_counters = std::min(pmu.gp_counters, kMaxCore),
          .gp_width = pmu.gp_width,
          .core_extension = core_extension};
}

}  // namespace

PmuConfig guest_pmu(const silicon::x86::CpuModel& model) {
  constexpr std::uint8_t kMaxVersion = 2, kMaxGp = 8, kMaxFixed = 3;
  const silicon::x86::PmuModel& pmu = model.pmu;
  if (pmu.version == 0 || pmu.gp_counters == 0) return no_pmu(model.vendor);
  if (model.vendor == Vendor::kAmd) return amd_guest_pmu(pmu);
  PmuConfig config{
      .version = std::min(pmu.version, kMaxVersion),
      .gp_counters = std::min(pmu.gp_counters, kMaxGp),
      .gp_width = pmu.gp_width,
      .arch_event_length = pmu.arch_event_length,
      .arch_events_unavailable = pmu.arch_events_unavailable,
      .perf_capabilities =
          pmu.perf_capabilities & mask_of(silicon::x86::PerfCapabilities::kFullWidthWrite),
      .has_perf_capabilities = pmu.perf_capabilities != 0,
      .tsx = model.tsx,
  };
  if (config.version > 1) {
    config.fixed_counters = std::min(pmu.fixed_counters, kMaxFixed);
    config.fixed_width = pmu.fixed_width;
  }
  return config;
}

}  // namespace vpmu::virt::x86
