// SPDX-License-Identifier: MIT
#include "cli/arm64_counter_report.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "cli/report_parts.hpp"
#include "policy/range_filter.hpp"
#include "vpmu/silicon/arm64/event_table.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::arm64::CounterLog;
using machine::arm64::GuestFilter;
using machine::arm64::Machine;
using silicon::arm64::CpuModel;
using virt::CounterIndex;
using virt::CounterStatus;
using virt::arm64::EventFilter;
using virt::arm64::FilterVerdict;
using virt::arm64::Pmu;

template <class Function>
void for_each_counter(const Pmu& pmu, Function function) {
  if (pmu.config().version == 0) return;
  for (unsigned n = 0; n < pmu.config().event_counters; ++n) {
    function(virt::arm64::event_counter(n));
  }
  function(virt::arm64::kCycleCounter);
}

std::string counter_name(CounterIndex index) {
  if (index == virt::arm64::kCycleCounter) return "cycles";
  return fmt::format("event{}", static_cast<unsigned>(index));
}

Json counter_and_event(CounterIndex counter, std::uint16_t event, const CpuModel& model) {
  Json json{{"counter", counter_name(counter)}, {"event", fmt::format("{:#06x}", event)}};
  if (const auto* row = silicon::arm64::find_event(model.events, event)) json["name"] = row->name;
  return json;
}

/// Null: everything may be counted.
const EventFilter* filter_of(const Machine& machine) {
  const auto& filter = machine.event_filter();
  return filter && filter->filter ? &*filter->filter : nullptr;
}

/// What in the filter decided.
void add_verdict(const FilterVerdict& verdict, Json& json) {
  json["range"] = verdict.range ? Json(*verdict.range) : Json(nullptr);
  json["reason"] = verdict.range ? "range" : "default";
}

/// Of those by that filter.
template <class Function>
void for_each_denial(const Machine& machine, const GuestFilter& filter, Function function) {
  for (const auto& vcpu : machine.vcpus()) {
    for (const CounterLog::Trouble& trouble : vcpu->counter_log().troubles()) {
      if (trouble.status == CounterStatus::kDenied && trouble.filter == filter.number) {
        function(*vcpu, trouble);
      }
    }
  }
}

/// The filter that was in force then; null: there was none, or it is forgotten.
const GuestFilter* filter_at(const CounterLog::Trouble& trouble, const Machine& machine) {
  const auto past = machine.past_filters();
  const auto found = std::ranges::find(past, trouble.filter, &GuestFilter::number);
  if (found != past.end()) return &*found;
  const auto& now = machine.event_filter();
  return now && now->number == trouble.filter ? &*now : nullptr;
}

/// By the range that decided; what none did comes last.
Json denied_by(const Machine& machine, const GuestFilter& given) {
  const EventFilter& filter = *given.filter;
  std::map<std::size_t, std::uint64_t> counts;
  const std::size_t no_range = filter.ranges().size();
  for_each_denial(machine, given, [&](const auto& /*vcpu*/, const CounterLog::Trouble& trouble) {
    counts[filter.explain(trouble.event).range.value_or(no_range)] += trouble.count;
  });
  Json json = Json::array();
  for (const auto& [range, count] : counts) {
    Json one;
    if (range == no_range) {
      one = {{"range", nullptr}, {"reason", "default"}};
    } else {
      one = {{"range", range}, {"value", policy::describe(filter.ranges()[range])}};
    }
    one["count"] = count;
    json.push_back(std::move(one));
  }
  return json;
}

Json filter_row(const GuestFilter& given, const Machine& machine) {
  Json json{{"file", given.name}, {"since_instruction", given.since}, {"default", nullptr}};
  if (!given.filter) return json;
  json["default"] = given.filter->default_admits() ? "allow" : "deny";
  json["ranges"] = given.filter->ranges().size();
  std::uint64_t denied = 0;
  Json denials = Json::array();
  for_each_denial(machine, given, [&](const auto& vcpu, const CounterLog::Trouble& trouble) {
    denied += trouble.count;
    Json one{{"vcpu", vcpu.index()}};
    one.update(counter_and_event(trouble.counter, trouble.event, *machine.config().model));
    add_verdict(given.filter->explain(trouble.event), one);
    one["count"] = trouble.count;
    denials.push_back(std::move(one));
  });
  json["denied"] = denied;
  json["denied_by"] = denied_by(machine, given);
  json["denials"] = std::move(denials);
  return json;
}

std::string reason(const CounterLog::Trouble& trouble, const Machine& machine) {
  const GuestFilter* const filter = filter_at(trouble, machine);
  if (trouble.status != CounterStatus::kDenied || filter == nullptr || !filter->filter) {
    return standing_still(trouble.status, machine.config().model->name);
  }
  const FilterVerdict verdict = filter->filter->explain(trouble.event);
  const std::string& name = filter->name;
  if (verdict.range)
    return fmt::format("is denied by range {} of filter '{}'", *verdict.range, name);
  return fmt::format("is in no range of filter '{}'", name);
}

/// The same of another counter, or under another filter.
bool said_before(std::span<const CounterLog::Trouble> troubles, std::size_t n) {
  return std::ranges::any_of(troubles.first(n), [&](const CounterLog::Trouble& each) {
    return each.status == troubles[n].status && each.event == troubles[n].event;
  });
}
}  // namespace

Json counters(const machine::arm64::Vcpu& vcpu, const CpuModel& model) {
  const Pmu& pmu = vcpu.pmu();
  Json json = Json::array();
  for_each_counter(pmu, [&](CounterIndex index) {
    const CounterStatus status = pmu.status(index);
    if (status == CounterStatus::kOff && pmu.value(index) == 0) return;
    Json one = counter_and_event(index, pmu.event(index), model);
    one["status"] = name(status);
    one["value"] = pmu.value(index);
    json.push_back(std::move(one));
  });
  return json;
}

Json counters_not_counting(const machine::arm64::Vcpu& vcpu, const Machine& machine) {
  const Pmu& pmu = vcpu.pmu();
  const EventFilter* filter = filter_of(machine);
  Json json = Json::array();
  for_each_counter(pmu, [&](CounterIndex index) {
    const CounterStatus status = pmu.status(index);
    if (status == CounterStatus::kOff || status == CounterStatus::kCounting) return;
    Json one{{"counter", counter_name(index)}, {"status", name(status)}};
    if (status == CounterStatus::kDenied && filter != nullptr) {
      one["filter"] = machine.event_filter()->name;
      add_verdict(filter->explain(pmu.event(index)), one);
    }
    json.push_back(std::move(one));
  });
  return json;
}

Json event_filters(const Machine& machine) {
  Json json = Json::array();
  for (const GuestFilter& past : machine.past_filters()) {
    json.push_back(filter_row(past, machine));
  }
  if (machine.event_filter()) json.push_back(filter_row(*machine.event_filter(), machine));
  return json;
}

std::string counter_troubles(const Machine& machine) {
  std::string text;
  for (const auto& vcpu : machine.vcpus()) {
    const auto troubles = vcpu->counter_log().troubles();
    for (std::size_t n = 0; n < troubles.size(); ++n) {
      if (said_before(troubles, n)) continue;
      text += fmt::format("vpmu: vCPU {}: event {:#06x} {}: the counter stands still\n",
                          vcpu->index(), troubles[n].event, reason(troubles[n], machine));
    }
  }
  return text;
}

}  // namespace vpmu::cli
