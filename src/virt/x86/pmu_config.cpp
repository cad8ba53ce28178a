// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pmu_config.hpp"

#include <algorithm>

#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::virt::x86 {

PmuConfig guest_pmu(const silicon::x86::CpuModel& model) {
  constexpr std::uint8_t kMaxVersion = 2, kMaxGp = 8, kMaxFixed = 3;
  const silicon::x86::PmuModel& pmu = model.pmu;
  if (pmu.version == 0 || pmu.gp_counters == 0) return no_pmu(model.vendor);
  PmuConfig config{
      .vendor = model.vendor,
      .version = std::min(pmu.version, kMaxVersion),
      .gp_counters = std::min(pmu.gp_counters, kMaxGp),
      .gp_width = pmu.gp_width,
      .arch_event_length = pmu.arch_event_length,
      .arch_events_unavailable = pmu.arch_events_unavailable,
      .perf_capabilities =
          pmu.perf_capabilities & mask_of(silicon::x86::PerfCapabilities::kFullWidthWrite),
      .has_perf_capabilities = pmu.perf_capabilities != 0,
  };
  if (config.version > 1) {
    config.fixed_counters = std::min(pmu.fixed_counters, kMaxFixed);
    config.fixed_width = pmu.fixed_width;
  }
  return config;
}

}  // namespace vpmu::virt::x86
