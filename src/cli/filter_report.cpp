// SPDX-License-Identifier: MIT
#include "cli/filter_report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/counter_name.hpp"
#include "vpmu/silicon/x86/event_selector.hpp"

namespace vpmu::cli {

namespace {
using Json = nlohmann::ordered_json;
using machine::FilterLog;
using virt::x86::FilterAction;
using virt::x86::FilterVerdict;
using Reason = FilterVerdict::Reason;

bool has_entry(const FilterVerdict& verdict) {
  return verdict.reason == Reason::kIncluded || verdict.reason == Reason::kExcluded;
}

/// What decided, and how often it was a denial.
Json denied_by_entry(const FilterLog::Filter& filter) {
  Json json = Json::array();
  for (std::size_t entry = 0; entry < filter.by_entry.size(); ++entry) {
    if (filter.by_entry[entry] == 0) continue;
    json.push_back({{"entry", entry},
                    {"value", fmt::format("{:#018x}", filter.image->entries.at(entry))},
                    {"count", filter.by_entry[entry]}});
  }
  if (filter.not_included != 0) {
    json.push_back({{"entry", nullptr},
                    {"reason", name(Reason::kNotIncluded)},
                    {"count", filter.not_included}});
  }
  for (std::size_t k = 0; k < filter.by_fixed_bitmap.size(); ++k) {
    if (filter.by_fixed_bitmap[k] == 0) continue;
    json.push_back({{"entry", nullptr},
                    {"reason", name(Reason::kFixedBitmap)},
                    {"counter", fmt::format("fixed{}", k)},
                    {"count", filter.by_fixed_bitmap[k]}});
  }
  return json;
}

Json denial_row(const FilterLog::Denial& denial, const silicon::x86::CpuModel& model) {
  const std::string counter =
      denial.pv_event ? fmt::format("pv{}", *denial.pv_event) : counter_name(denial.counter);
  Json json{{"vcpu", denial.vcpu},
            {"counter", counter},
            {"event", fmt::format("{:#04x}", denial.event.event)},
            {"umask", fmt::format("{:#04x}", denial.event.unit_mask)}};
  if (const auto* row = silicon::x86::find_event(model.events, denial.event)) {
    json["name"] = row->name;
  }
  add_verdict(denial.verdict, json);
  json["count"] = denial.count;
  return json;
}

Json filter_row(const FilterLog::Filter& filter, const silicon::x86::CpuModel& model) {
  Json json{{"file", filter.name}, {"since_instruction", filter.since}};
  if (!filter.image) {
    json["action"] = nullptr;
    return json;
  }
  const bool allow = filter.image->action == static_cast<std::uint32_t>(FilterAction::kAllow);
  json["action"] = allow ? "allow" : "deny";
  json["masked"] = filter.image->masked();
  json["entries"] = filter.image->count;
  json["fixed_counter_bitmap"] = fmt::format("{:#x}", filter.image->fixed_bitmap);
  json["denied"] = filter.denied();
  json["denied_by"] = denied_by_entry(filter);
  json["denials"] = Json::array();
  for (const FilterLog::Denial& denial : filter.denials) {
    json["denials"].push_back(denial_row(denial, model));
  }
  return json;
}

std::string in_words(const FilterVerdict& verdict, const std::string& filter) {
  switch (verdict.reason) {
    case Reason::kIncluded:
      return fmt::format("is denied by entry {} of filter '{}'", verdict.entry, filter);
    case Reason::kExcluded:
      return fmt::format("is excluded by entry {} of filter '{}'", verdict.entry, filter);
    case Reason::kNotIncluded: return fmt::format("is in no entry of filter '{}'", filter);
    case Reason::kFixedBitmap: break;
  }
  return fmt::format("is denied by the fixed counter bitmap of filter '{}'", filter);
}
}  // namespace

Json event_filters(const machine::Machine& machine) {
  Json json = Json::array();
  for (const FilterLog::Filter& filter : machine.filter_log().filters()) {
    json.push_back(filter_row(filter, machine.config().host()));
  }
  return json;
}

void add_verdict(const FilterVerdict& verdict, Json& json) {
  if (has_entry(verdict)) {
    json["entry"] = verdict.entry;
  } else {
    json["entry"] = nullptr;
  }
  json["reason"] = name(verdict.reason);
}

namespace {
/// In words, of all denials that `is_meant`, each text once.
template <class Predicate>
std::vector<std::string> denials_in_words(const FilterLog& log, Predicate is_meant) {
  std::vector<std::string> texts;
  for (const FilterLog::Filter& filter : log.filters()) {
    for (const FilterLog::Denial& denial : filter.denials) {
      if (!is_meant(denial)) continue;
      std::string text = in_words(denial.verdict, filter.name);
      if (std::ranges::find(texts, text) == texts.end()) texts.push_back(std::move(text));
    }
  }
  return texts;
}
}  // namespace

std::vector<std::string> denied_by(const FilterLog& log, unsigned vcpu,
                                   const machine::CounterLog::Trouble& trouble,
                                   silicon::x86::Vendor vendor) {
  const auto event = silicon::x86::selector_of(vendor, trouble.config);
  return denials_in_words(log, [&](const FilterLog::Denial& denial) {
    return denial.vcpu == vcpu && !denial.pv_event && denial.event == event &&
           is_fixed(denial.counter) == is_fixed(trouble.counter);
  });
}

std::vector<std::string> pv_event_denied_by(const FilterLog& log, unsigned vcpu,
                                            const virt::x86::PvPerf::HostEvent& event) {
  return denials_in_words(log, [&](const FilterLog::Denial& denial) {
    return denial.vcpu == vcpu && denial.pv_event && denial.event == event.selector &&
           denial.counter == event.asked;
  });
}

}  // namespace vpmu::cli
