// SPDX-License-Identifier: MIT
//
// The event that an event select register names.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/amd_pmu_registers.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::silicon::x86 {

/// Of a whole register, or what of it says what is counted.
constexpr EventSelector selector_of(Vendor vendor, std::uint64_t event_select) {
  const EventSelect select{{event_select}};
  std::uint64_t event = select.get(EventSelect::kEvent);
  if (vendor == Vendor::kAmd) {
    event |= AmdEventSelect{{event_select}}.get(AmdEventSelect::kEventHigh)
             << AmdEventSelect::kEvent.kWidth;
  }
  static_assert(AmdEventSelect::kEvent.kMask == EventSelect::kEvent.kMask &&
                AmdEventSelect::kUnitMask.kMask == EventSelect::kUnitMask.kMask);
  return {static_cast<std::uint16_t>(event),
          static_cast<std::uint8_t>(select.get(EventSelect::kUnitMask))};
}

/// The other way round: event select and unit mask at their places, all other bits 0.
constexpr std::uint64_t event_select_of(Vendor vendor, EventSelector selector) {
  AmdEventSelect select;
  select.set(AmdEventSelect::kEvent, selector.event);
  select.set(AmdEventSelect::kUnitMask, selector.unit_mask);
  if (vendor == Vendor::kAmd) {
    select.set(AmdEventSelect::kEventHigh, selector.event >> AmdEventSelect::kEvent.kWidth);
  }
  return select.raw;
}

}  // namespace vpmu::silicon::x86
