// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/pmu_config.hpp"

#include <algorithm>

namespace vpmu::virt::arm64 {

using silicon::arm64::find_event;

namespace {

constexpr std::uint8_t kMostCounters = 31;

}  // namespace

bool possible(const PmuConfig& config) {
  switch (config.version) {
    case 0: return config == PmuConfig{};
    case silicon::arm64::kPmuV3:
    case silicon::arm64::kPmuV3p1: return config.event_counters <= kMostCounters && !config.slots;
    case silicon::arm64::kPmuV3p4:
    case silicon::arm64::kPmuV3p5: return config.event_counters <= kMostCounters;
    default: return false;
  }
}

PmuConfig guest_pmu(const silicon::arm64::CpuModel& model) {
  constexpr std::uint16_t kStallSlot = 0x3f;
  if (model.pmu.version == 0) return {};
  const bool slots = model.pmu.version >= silicon::arm64::kPmuV3p4 &&
                     find_event(model.events, kStallSlot) != nullptr;
  return {
      .version = std::min(model.pmu.version, silicon::arm64::kPmuV3p5),
      .event_counters = std::min(model.pmu.event_counters, kMostCounters),
      .slots = slots ? model.slots_per_cycle : std::uint8_t{0},
      .common_events = {silicon::arm64::common_events(model.events, 0) &
                            ~silicon::arm64::kSampleEvents,
                        silicon::arm64::common_events(model.events, 32)},
  };
}

PmuConfig with_sample_events(PmuConfig config, const silicon::arm64::CpuModel& model) {
  using silicon::arm64::kSampleEvents;
  if (config.version < silicon::arm64::kPmuV3p1) return config;
  config.common_events[0] |= silicon::arm64::common_events(model.events, 0) & kSampleEvents;
  return config;
}

}  // namespace vpmu::virt::arm64
