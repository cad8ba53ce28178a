// SPDX-License-Identifier: MIT
#include <algorithm>

#include <nlohmann/json.hpp>

#include "profile/views/report_text.hpp"

namespace vpmu::profile {

namespace {
using Json = nlohmann::ordered_json;

/// Goes up when a field disappears or changes its meaning.
constexpr int kReportVersion = 1;

bool has(const std::vector<SortKey>& keys, SortKey key) {
  return std::ranges::find(keys, key) != keys.end();
}

Json optional_name(const Profile& profile, NameId name) {
  return name == kNoName ? Json{} : Json(profile.names[name]);
}

void add_key(Json& json, const Profile& profile, const std::vector<SortKey>& keys,
             const RowKey& key, bool of_sample) {
  if (has(keys, SortKey::kSymbol)) {
    json["symbol"] = optional_name(profile, key.symbol);
    json["kind"] = mark(key.kind);
  }
  if (has(keys, SortKey::kLine)) {
    json["file"] = key.file.empty() ? Json{} : Json(key.file);
    json["line"] = key.file.empty() ? Json{} : Json(key.line);
    if (!has(keys, SortKey::kSymbol) && key.symbol != kNoName) {
      json["symbol"] = profile.names[key.symbol];
    }
  }
  if (key.by_address) json["address"] = key.address;
  if (has(keys, SortKey::kVcpu) && of_sample) {
    json["vcpu"] = key.vcpu == kNoVcpu ? Json{} : Json(key.vcpu);
  }
  if (has(keys, SortKey::kImage)) json["image"] = optional_name(profile, key.image);
  if (has(keys, SortKey::kMode)) json["mode"] = mode_name(key.mode);
}

Json weight_json(const Weight& weight, const Weight& whole) {
  return {
      {"percent", percent(weight, whole)}, {"samples", weight.samples}, {"count", weight.count}};
}

Json callers_json(const Profile& profile, const ReportTable& table,
                  const std::vector<SortKey>& keys, const std::vector<Caller>& callers) {
  Json list = Json::array();
  for (const Caller& caller : callers) {
    Json one = Json::object();
    add_key(one, profile, keys, caller.key, false);
    one["weight"] = weight_json(caller.weight, table.total);
    if (!caller.callers.empty()) {
      one["callers"] = callers_json(profile, table, keys, caller.callers);
    }
    list.push_back(std::move(one));
  }
  return list;
}
}  // namespace

Json report_json(const Profile& profile, const std::string& file,
                 const std::vector<ReportTable>& tables, const ReportOptions& options) {
  Json json = {{"vpmu_report", kReportVersion},    {"file", clean_text(file)},
               {"guests", profile.guests},         {"complete", profile.complete},
               {"lost_samples", profile.lost},     {"first_time_ns", profile.first_time},
               {"last_time_ns", profile.last_time}};
  Json& events = json["events"] = Json::array();
  for (const ReportTable& table : tables) {
    const EventTotals& event = profile.events[table.event];
    Json rows = Json::array();
    for (const ReportRow& row : table.rows) {
      Json one = Json::object();
      add_key(one, profile, options.keys, row.key, true);
      one["self"] = weight_json(row.self, table.total);
      one["total"] = weight_json(row.total, table.total);
      if (options.callers) {
        one["callers"] = callers_json(profile, table, options.keys, row.callers);
      }
      rows.push_back(std::move(one));
    }
    events.push_back({{"event", event.name},
                      {"samples", event.total.samples},
                      {"count", event.total.count},
                      {"samples_without_symbol", event.without_symbol.samples},
                      {"rows", std::move(rows)},
                      {"hidden_rows", table.hidden}});
  }
  return json;
}

Json branches_json(const Profile& profile, const BranchTable& table) {
  Json rows = Json::array();
  for (const BranchRow& row : table.rows) {
    rows.push_back({{"from", row.from},
                    {"to", row.to},
                    {"taken", row.taken},
                    {"mispredicted_percent", row.mispredicted ? Json(*row.mispredicted) : Json{}},
                    {"cycles", row.cycles ? Json(*row.cycles) : Json{}}});
  }
  return {{"event", profile.events[table.event].name},
          {"branches", table.taken},
          {"rows", std::move(rows)},
          {"hidden_rows", table.hidden}};
}

}  // namespace vpmu::profile
