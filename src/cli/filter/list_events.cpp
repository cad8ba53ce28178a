// SPDX-License-Identifier: MIT
#include "cli/filter/list_events.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/filter/event_text.hpp"
#include "cli/filter/json_words.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/ranges.hpp"
#include "cli/wrap.hpp"
#include "policy/event_pattern.hpp"
#include "policy/tiers.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::EventCatalogue;
using policy::NamedEvent;
using policy::TierTable;
using silicon::x86::kNoFixedCounter;
using Events = std::vector<const NamedEvent*>;

Result<Events> events_of(const EventCatalogue& catalogue, const std::string& pattern) {
  Events events;
  if (pattern.empty()) {
    for (const NamedEvent& event : catalogue.events()) events.push_back(&event);
    return events;
  }
  const auto meant = policy::parse_event_pattern(pattern, catalogue);
  if (!meant) return tl::unexpected(meant.error());
  if (!meant->named.empty()) return meant->named;
  for (const NamedEvent& event : catalogue.events()) {
    if (!event.fixed_only && meant->selectors.contains(event.selector)) events.push_back(&event);
  }
  if (events.empty()) {
    return fail(fmt::format("event {}: {} has no name for it; give a name or another code",
                            in_quotes(pattern), cpu_name(catalogue)));
  }
  return events;
}

std::string tier_text(const TierTable* tiers, const NamedEvent& event) {
  if (tiers == nullptr) return "no data";
  const auto tier = tiers->tier_of(event);
  return tier ? policy::name(*tier) : "none";
}

std::string code_of(const NamedEvent& event) {
  return event.fixed_only ? "-" : code_text(range_of(event.selector));
}

std::string fixed_of(const NamedEvent& event) {
  return event.fixed == kNoFixedCounter ? "-" : fmt::format("{}", event.fixed);
}

std::string text(const EventCatalogue& catalogue, const Events& events, const TierTable* tiers,
                 bool is_long, std::size_t columns) {
  std::string text = row_text("event", fmt::format("{:<10} {:<5} {}", "code", "fixed", "tier"));
  for (const NamedEvent* event : events) {
    text += row_text(event->name, fmt::format("{:<10} {:<5} {}", code_of(*event), fixed_of(*event),
                                              tier_text(tiers, *event)));
    if (!is_long) continue;
    if (!event->description.empty()) {
      text += wrapped("    ", 4, event->description, columns) + "\n";
    }
    const std::string_view reason = tiers == nullptr ? "" : tiers->reason(*event);
    if (!reason.empty()) text += wrapped("    tier: ", 10, reason, columns) + "\n";
  }
  if (tiers == nullptr) {
    text +=
        fmt::format("\nno data: nobody has put the events of {} into tiers\n", cpu_name(catalogue));
  }
  return text;
}

Json json(const EventCatalogue& catalogue, const Events& events, const TierTable* tiers) {
  Json list = Json::array();
  for (const NamedEvent* event : events) {
    Json one = {{"name", event->name}};
    if (!event->fixed_only) {
      one["event"] = event->selector.event;
      one["umask"] = event->selector.unit_mask;
    }
    if (event->fixed != kNoFixedCounter) one["fixed_counter"] = event->fixed;
    one["description"] = event->description;
    if (tiers != nullptr) {
      one["tier"] = tier_text(tiers, *event);
      one["tier_reason"] = std::string{tiers->reason(*event)};
    }
    list.push_back(std::move(one));
  }
  return {{"filter_events", kJsonVersion},
          {"cpu", cpu_name(catalogue)},
          {"pmu", catalogue.pmu().name},
          {"vendor", vendor_word(catalogue.vendor())},
          {"fixed_counters", catalogue.fixed_counters()},
          {"tiers", tiers != nullptr},
          {"events", std::move(list)}};
}
}  // namespace

Result<Output> run_list_events(const ListEventsOptions& options) {
  if (const auto* arm64 = silicon::arm64::find_cpu_model(options.cpu)) {
    return list_arm64_events(*arm64, options);
  }
  const auto catalogue = EventCatalogue::of(options.cpu);
  if (!catalogue) return tl::unexpected(catalogue.error());
  const auto events = events_of(**catalogue, options.pattern);
  if (!events) return tl::unexpected(events.error());
  const auto table = TierTable::of(**catalogue);
  const TierTable* const tiers = table ? *table : nullptr;
  return Output{.text = options.json
                            ? print(json(**catalogue, *events, tiers))
                            : text(**catalogue, *events, tiers, options.is_long, output_columns()),
                .remarks = ""};
}

}  // namespace vpmu::cli::filter
