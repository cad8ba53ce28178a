// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "profile/spe_views/load_table.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

namespace {
using Json = nlohmann::ordered_json;

/// Goes up when a field disappears or changes its meaning.
constexpr int kReportVersion = 1;

Json loads_json(const SpeLoads& loads) {
  Json sources = Json::object();
  for (std::size_t source = 0; source < SpeLoads::kSources; ++source) {
    if (loads.sources[source] == 0) continue;
    sources[source_name(source)] = {{"loads", loads.sources[source]},
                                    {"latency", loads.source_latency[source]}};
  }
  return {{"loads", loads.count},
          {"latency", loads.latency},
          {"longest", loads.longest},
          {"issue_latency", loads.issue},
          {"translation_latency", loads.translation},
          {"l1d_refills", loads.l1d_refills},
          {"llc_misses", loads.llc_misses},
          {"tlb_walks", loads.tlb_walks},
          {"remote", loads.remote},
          {"sources", std::move(sources)}};
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json{} : Json(text);
}

Json row_json(const SpeReport& report, const SpeRow& row) {
  Json json = Json::object();
  for (const SortKey key : report.keys) {
    if (key == SortKey::kSymbol) {
      json["symbol"] = text_or_null(row.symbol);
      json["kind"] = mark(row.kind);
    } else if (key == SortKey::kLine) {
      json["file"] = text_or_null(row.file);
      json["line"] = row.file.empty() ? Json{} : Json(row.line);
      if (!row.symbol.empty()) json["symbol"] = row.symbol;
    } else if (key == SortKey::kImage) {
      json["image"] = text_or_null(row.image);
    }
  }
  if (row.by_address) json["address"] = row.address;
  json["percent"] = latency_percent(row.loads, report.all);
  json.update(loads_json(row.loads));
  return json;
}
}  // namespace

Json spe_report_json(const SpeTraceInfo& info, std::size_t streams, const SpeReport& report) {
  Json rows = Json::array();
  for (const SpeRow& row : report.rows) rows.push_back(row_json(report, row));
  const spe::DecoderTotals& decoded = report.decoded;
  return {{"vpmu_spe_report", kReportVersion},
          {"file", clean_text(info.file)},
          {"guest", info.guest ? Json(info.name) : Json{}},
          {"cpu", info.cpu_model},
          {"period", info.period},
          {"complete", info.complete},
          {"units", streams},
          {"records", decoded.records},
          {"trace_bytes", decoded.bytes},
          {"unknown_packets", decoded.reserved_packets},
          {"bad_bytes", decoded.bad_bytes},
          {"cut_short", decoded.cut_short},
          {"truncated_pieces", info.truncated},
          {"collided_pieces", info.collided},
          {"first_time_ns", report.first_time},
          {"last_time_ns", report.last_time},
          {"stores", report.stores},
          {"branches", report.branches},
          {"mispredicted_branches", report.mispredicted},
          {"others", report.others},
          {"loads_without_symbol", report.without_symbol},
          {"all", loads_json(report.all)},
          {"rows", std::move(rows)},
          {"hidden_rows", report.hidden}};
}

}  // namespace vpmu::profile
