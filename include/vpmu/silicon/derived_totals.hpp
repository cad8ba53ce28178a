// SPDX-License-Identifier: MIT
//
// Totals that follow from others: no CPU counts them as it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon {

/// Brings what follows from other totals up to date: before anybody looks at it. For the CPU, whose
/// own totals are all added. `slots_per_cycle` is the CPU model's.
inline void derive_totals(RetireTotals& totals, std::uint32_t slots_per_cycle) {
  for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
    auto& all = totals.of(privilege);
    const auto total = [&all](RawEvent event) -> std::uint64_t& {
      return all[static_cast<std::size_t>(event)];
    };
    const std::uint64_t cycles = total(RawEvent::kCycles);
    // Nothing retires without a cycle.
    if (total(RawEvent::kReferenceCycles) == cycles) continue;
    total(RawEvent::kReferenceCycles) = cycles;
    total(RawEvent::kMemoryAccesses) = total(RawEvent::kLoads) + total(RawEvent::kStores);
    total(RawEvent::kSlots) = cycles * slots_per_cycle;
    total(RawEvent::kBackendBoundSlots) = cycles * slots_per_cycle - total(RawEvent::kInstructions);
  }
}

}  // namespace vpmu::silicon
