// SPDX-License-Identifier: MIT
#include "cli/report_parts.hpp"

#include <fmt/format.h>

namespace vpmu::cli {

using Json = nlohmann::ordered_json;

Json retired_json(const silicon::RetireTotals& totals, std::size_t events) {
  Json json = Json::object();
  for (std::size_t i = 0; i < events; ++i) {
    const auto event = static_cast<silicon::RawEvent>(i);
    const std::uint64_t user = totals.read(event, {.user = true, .kernel = false});
    const std::uint64_t kernel = totals.read(event, {.user = false, .kernel = true});
    json[silicon::name(event)] = {{"user", user}, {"kernel", kernel}, {"total", user + kernel}};
  }
  return json;
}

Json exits_json(const virt::ExitStats& stats) {
  Json reasons = Json::object();
  for (std::size_t i = 0; i < virt::kExitReasonCount; ++i) {
    const auto exit = static_cast<virt::ExitReason>(i);
    if (stats.count(exit) == 0) continue;
    reasons[virt::name(exit)] = {{"count", stats.count(exit)}, {"cycles", stats.cost(exit)}};
  }
  return {{"count", stats.total_count()}, {"cycles", stats.total_cost()}, {"by_reason", reasons}};
}

std::string standing_still(virt::CounterStatus status, std::string_view model) {
  using virt::CounterStatus;
  switch (status) {
    case CounterStatus::kUnsupportedEvent: return fmt::format("cannot be counted by {}", model);
    case CounterStatus::kStarved: return "found no free counter on the host";
    case CounterStatus::kDenied: return "may not be counted by this guest";
    case CounterStatus::kOff:
    case CounterStatus::kCounting: break;
  }
  return name(status);
}

}  // namespace vpmu::cli
