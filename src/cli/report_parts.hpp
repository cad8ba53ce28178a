// SPDX-License-Identifier: MIT
//
// What reports say the same way of every architecture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/virt/counter_status.hpp"
#include "vpmu/virt/exit_stats.hpp"

namespace vpmu::cli {

/// Of so many raw events, from the first one on.
nlohmann::ordered_json retired_json(const silicon::RetireTotals& totals, std::size_t events);
nlohmann::ordered_json exits_json(const virt::ExitStats& stats);

/// Of all vCPUs together.
/// In words, why an event stands still on guests of that CPU: "cannot be counted by MODEL".
std::string standing_still(virt::CounterStatus status, std::string_view model);

struct ExitsAndInterrupts {
  std::uint64_t exits = 0;
  std::uint64_t interrupts = 0;  ///< of PMUs
};

}  // namespace vpmu::cli
