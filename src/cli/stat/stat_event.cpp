// SPDX-License-Identifier: MIT
#include "cli/stat/stat_event.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/event_list.hpp"
#include "cli/event_spec.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"

namespace vpmu::cli::stat {

namespace {
using hostperf::HostCpuModel;
using silicon::x86::EventSelect;

constexpr const char* kTaskClock = "task-clock";
/// Those of them that the CPU model has.
constexpr const char* kDefaults[] = {kTaskClock,    "cycles",        "instructions",
                                     "branches",    "branch-misses", "cache-references",
                                     "cache-misses"};

/// None for a condition on cycles.
std::optional<silicon::RawEvent> x86_event(std::uint64_t config,
                                           const silicon::x86::CpuModel& model) {
  constexpr std::uint64_t kCondition =
      mask_of(EventSelect::kEdge, EventSelect::kInv, EventSelect::kCmask);
  if ((config & kCondition) != 0) return std::nullopt;
  const auto* row =
      silicon::x86::find_event(model.events, silicon::x86::selector_of(model.vendor, config));
  if (row == nullptr) return std::nullopt;
  return row->raw;
}

std::optional<silicon::RawEvent> raw_event(std::uint64_t config, const HostCpuModel& model) {
  if (model.x86() != nullptr) return x86_event(config, *model.x86());
  const auto* row =
      silicon::arm64::find_event(model.arm64()->events, static_cast<std::uint16_t>(config));
  if (row == nullptr) return std::nullopt;
  return row->raw;
}

Result<StatEvent> parse(const std::string& text, const HostCpuModel& model) {
  if (text == kTaskClock) {
    StatEvent clock;
    clock.name = text;
    clock.task_clock = true;
    return clock;
  }
  auto spec = parse_unsampled_event(text, model);
  if (!spec) return fail("-e: " + spec.error().message);
  if (spec->attr.period != 0) {
    return fail(
        fmt::format("-e: event {}: term 'period' is for samples, which `vpmu record` takes; "
                    "leave it out",
                    in_quotes(text)));
  }
  StatEvent event;
  event.name = one_line(spec->name);
  event.attr = spec->attr;
  event.raw = raw_event(spec->attr.config, model);
  return event;
}

void add(StatEvent event, StatPlan& plan) {
  if (!event.task_clock) {
    event.counted = plan.counted.size();
    plan.counted.push_back({event.name, event.attr});
  }
  plan.events.push_back(std::move(event));
}

void add_defaults(const HostCpuModel& model, StatPlan& plan) {
  for (const char* name : kDefaults) {
    if (auto event = parse(name, model)) add(std::move(*event), plan);
  }
}
}  // namespace

Result<StatPlan> plan_stat(const std::vector<std::string>& lists, const HostCpuModel& model) {
  const auto texts = split_event_lists(lists);
  if (!texts) return tl::unexpected(texts.error());
  StatPlan plan;
  for (const std::string& text : *texts) {
    auto event = parse(text, model);
    if (!event) return tl::unexpected(event.error());
    add(std::move(*event), plan);
  }
  if (texts->empty()) add_defaults(model, plan);
  // Time passes for events: without one there is none to tell.
  if (plan.counted.empty()) {
    const auto carrier = parse("instructions", model);
    if (!carrier) return tl::unexpected(carrier.error());
    plan.counted.push_back({carrier->name, carrier->attr});
  }
  return plan;
}

}  // namespace vpmu::cli::stat
