// SPDX-License-Identifier: MIT
#include "cli/counter_report.hpp"

#include <vector>

#include <fmt/format.h>

#include "cli/counter_name.hpp"
#include "cli/filter_report.hpp"
#include "cli/report_parts.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"
#include "vpmu/silicon/x86/event_table.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::CounterLog;
using machine::FilterLog;
using silicon::x86::CpuModel;
using silicon::x86::EventSelect;
using silicon::x86::EventSelector;
using virt::x86::CounterIndex;
using virt::x86::CounterStatus;

template <class Function>
void for_each_counter(const virt::x86::PmuConfig& config, Function function) {
  for (unsigned i = 0; i < config.gp_counters; ++i) {
    function(virt::x86::gp_counter(i));
  }
  for (unsigned k = 0; k < config.fixed_counters; ++k) {
    function(virt::x86::fixed_counter(k));
  }
}

/// The condition on cycles, which is part of what may not be countable; empty if there is none.
std::string condition(std::uint64_t config) {
  const EventSelect select{{config}};
  std::string text;
  if (select.get(EventSelect::kCmask) != 0) {
    text += fmt::format(", cmask {}", select.get(EventSelect::kCmask));
  }
  if (select.get(EventSelect::kInv) != 0) text += ", inv";
  if (select.get(EventSelect::kEdge) != 0) text += ", edge";
  return text;
}

/// What stands still: an event, or a fixed counter where that is what may not count.
std::string subject(const CounterLog::Trouble& trouble, const CpuModel& model) {
  if (trouble.status == CounterStatus::kDenied && is_fixed(trouble.counter)) {
    return fmt::format("fixed counter {}", number_of(trouble.counter));
  }
  const EventSelector event = silicon::x86::selector_of(model.vendor, trouble.config);
  return fmt::format("event {:#04x} (umask {:#04x}{})", event.event, event.unit_mask,
                     condition(trouble.config));
}

}  // namespace

Json counters(const machine::Vcpu& vcpu, const CpuModel& model) {
  Json json = Json::array();
  for_each_counter(vcpu.pmu().config(), [&](CounterIndex index) {
    const CounterLog::Entry& entry = vcpu.counter_log().of(index);
    if (!entry.used) return;
    const EventSelector event = silicon::x86::selector_of(model.vendor, entry.config);
    Json one{{"counter", counter_name(index)},
             {"event", fmt::format("{:#04x}", event.event)},
             {"umask", fmt::format("{:#04x}", event.unit_mask)}};
    const EventSelect select{{entry.config}};
    if (!condition(entry.config).empty()) {
      one["cmask"] = select.get(EventSelect::kCmask);
      one["inv"] = select.get(EventSelect::kInv) != 0;
      one["edge"] = select.get(EventSelect::kEdge) != 0;
    }
    if (const auto* row = silicon::x86::find_event(model.events, event)) one["name"] = row->name;
    one["status"] = name(entry.status);
    one["since_cycle"] = entry.since;
    one["value"] = vcpu.pmu().value(index);
    json.push_back(std::move(one));
  });
  return json;
}

Json counters_not_counting(const machine::Vcpu& vcpu, const FilterLog& filters) {
  Json json = Json::array();
  for_each_counter(vcpu.pmu().config(), [&](CounterIndex index) {
    const CounterStatus status = vcpu.pmu().status(index);
    if (status == CounterStatus::kOff || status == CounterStatus::kCounting) return;
    Json one{{"counter", counter_name(index)}, {"status", name(status)}};
    const auto verdict = filters.verdict(index, vcpu.counter_log().of(index).config);
    if (status == CounterStatus::kDenied && verdict) {
      one["filter"] = filters.filters().back().name;
      add_verdict(*verdict, one);
    }
    json.push_back(std::move(one));
  });
  return json;
}

std::string counter_troubles(const machine::Machine& machine) {
  const CpuModel& model = *machine.config().model;
  std::string text;
  for (const auto& vcpu : machine.vcpus()) {
    for (const CounterLog::Trouble& trouble : vcpu->counter_log().troubles()) {
      std::vector<std::string> reasons;
      if (trouble.status == CounterStatus::kDenied) {
        reasons = denied_by(machine.filter_log(), vcpu->index(), trouble, model.vendor);
      }
      if (reasons.empty()) reasons.push_back(standing_still(trouble.status, model.name));
      for (const std::string& each : reasons) {
        text += fmt::format("vpmu: vCPU {}: {} {}: the counter stands still\n", vcpu->index(),
                            subject(trouble, model), each);
      }
    }
  }
  return text;
}

}  // namespace vpmu::cli
