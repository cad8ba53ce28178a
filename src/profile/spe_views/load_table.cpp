// SPDX-License-Identifier: MIT
#include "profile/spe_views/load_table.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "profile/views/id_table.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

namespace {

using spe::Record;

/// Loads by the place in the code that made them: many records, few places.
class Places {
 public:
  struct Place {
    std::uint64_t pc = 0;  ///< the payload of its packet
    std::uint32_t stream = 0;
    SpeLoads loads;
  };
  void add(std::uint32_t stream, const Record& record) {
    const std::uint64_t pc = record.address[silicon::arm64::spe_packet::kPc];
    const auto next = static_cast<std::uint32_t>(places_.size());
    const auto [id, added] =
        ids_.find_or_add(Hash{}.add(pc).add(stream).value(), next, [&](std::uint32_t known) {
          return places_[known].pc == pc && places_[known].stream == stream;
        });
    if (added) places_.push_back({pc, stream, {}});
    places_[id].loads.add(record);
  }
  [[nodiscard]] const std::vector<Place>& all() const { return places_; }

 private:
  std::vector<Place> places_;
  IdTable ids_;
};

bool has(const std::vector<SortKey>& keys, SortKey key) {
  return std::ranges::find(keys, key) != keys.end();
}

auto key_of(const SpeRow& row) {
  return std::tie(row.symbol, row.image, row.file, row.line, row.by_address, row.address, row.kind);
}

/// What is said of a place, by the keys.
SpeRow describe(SpeTrace& trace, const std::vector<SortKey>& keys, const Places::Place& place) {
  const spe::CodePlace code = spe::code_place(place.pc);
  const AddressOwner owner = trace.owner(trace.streams()[place.stream], code);
  const AddressInfo at = trace.spaces().find(owner, code.address);
  const bool by_symbol = has(keys, SortKey::kSymbol);
  SpeRow row;
  if (has(keys, SortKey::kLine) && at.image != nullptr) {
    const SourceLines* const lines = trace.spaces().lines(*at.image);
    if (const auto line = lines == nullptr ? std::nullopt : lines->find(at.linked)) {
      row.file = clean_text(line->file);
      row.line = line->line;
    }
  }
  if (by_symbol) row.kind = is_kernel(owner.mode) ? CodeKind::kKernel : CodeKind::kUser;
  const bool symbol_wanted = by_symbol || (has(keys, SortKey::kLine) && row.file.empty());
  if (symbol_wanted && at.symbol != nullptr) row.symbol = clean_text(at.symbol->name);
  row.by_address = symbol_wanted && row.symbol.empty();
  if (row.by_address) row.address = at.linked;
  if (has(keys, SortKey::kImage) && at.image != nullptr) row.image = at.image->name;
  return row;
}

/// Rows of the places; `without_symbol`: loads of those that have none.
std::vector<SpeRow> rows_of(SpeTrace& trace, const std::vector<SortKey>& keys, const Places& places,
                            std::uint64_t& without_symbol) {
  const auto less = [](const SpeRow& a, const SpeRow& b) { return key_of(a) < key_of(b); };
  std::vector<SpeRow> rows;
  for (const Places::Place& place : places.all()) {
    rows.push_back(describe(trace, keys, place));
    rows.back().loads = place.loads;
    if (rows.back().by_address) without_symbol += place.loads.count;
  }
  std::ranges::sort(rows, less);
  std::vector<SpeRow> merged;
  for (SpeRow& row : rows) {
    if (!merged.empty() && key_of(merged.back()) == key_of(row)) {
      merged.back().loads.add(row.loads);
    } else {
      merged.push_back(std::move(row));
    }
  }
  std::ranges::stable_sort(merged, [](const SpeRow& a, const SpeRow& b) {
    return std::tie(a.loads.latency, a.loads.count) > std::tie(b.loads.latency, b.loads.count);
  });
  return merged;
}

void count(SpeReport& report, const Record& record) {
  constexpr std::uint64_t kMispredicted = silicon::arm64::kSpeMispredicted;
  if (record.is_store()) {
    ++report.stores;
  } else if (record.is_branch()) {
    ++report.branches;
    report.mispredicted += (record.events & kMispredicted) != 0 ? 1 : 0;
  } else if (!record.is_load()) {
    ++report.others;
  }
}

void add(spe::DecoderTotals& totals, const spe::DecoderTotals& more) {
  totals.bytes += more.bytes;
  totals.records += more.records;
  totals.reserved_packets += more.reserved_packets;
  totals.bad_bytes += more.bad_bytes;
  totals.cut_short = totals.cut_short || more.cut_short;
}

}  // namespace

void SpeLoads::add(const Record& record) {
  using namespace silicon::arm64;
  const auto happened = [&record](std::uint64_t event) {
    return static_cast<std::uint64_t>((record.events & event) != 0);
  };
  const std::uint16_t total = record.latency[spe_packet::kTotalLatency];
  ++count;
  latency += total;
  issue += record.latency[spe_packet::kIssueLatency];
  translation += record.latency[spe_packet::kTranslationLatency];
  longest = std::max(longest, total);
  l1d_refills += happened(kSpeL1dRefill);
  llc_misses += happened(kSpeLlcMiss);
  tlb_walks += happened(kSpeTlbWalk);
  remote += happened(kSpeRemoteAccess);
  const std::size_t source = !record.has(Record::kDataSource)
                                 ? kSourceNotTold
                                 : std::min<std::size_t>(record.source, kOtherSource);
  ++sources[source];
  source_latency[source] += total;
}

void SpeLoads::add(const SpeLoads& other) {
  count += other.count;
  latency += other.latency;
  issue += other.issue;
  translation += other.translation;
  longest = std::max(longest, other.longest);
  l1d_refills += other.l1d_refills;
  llc_misses += other.llc_misses;
  tlb_walks += other.tlb_walks;
  remote += other.remote;
  for (std::size_t source = 0; source < kSources; ++source) {
    sources[source] += other.sources[source];
    source_latency[source] += other.source_latency[source];
  }
}

std::string source_name(std::size_t source) {
  if (source == SpeLoads::kOtherSource) return "other";
  if (source == SpeLoads::kSourceNotTold) return "not told";
  const std::string_view name = spe::data_source_name(static_cast<unsigned>(source));
  return name.empty() ? fmt::format("number {}", source) : std::string{name};
}

double latency_percent(const SpeLoads& part, const SpeLoads& whole) {
  if (whole.latency == 0) return 0;
  return 100.0 * static_cast<double>(part.latency) / static_cast<double>(whole.latency);
}

Result<SpeReport> make_spe_report(SpeTrace& trace, const SpeReportOptions& options) {
  for (const SortKey key : options.keys) {
    if (key == SortKey::kSymbol || key == SortKey::kLine || key == SortKey::kImage) continue;
    return fail(fmt::format("--sort {}: loads of SPE are by symbol, line and image; give these",
                            name(key)));
  }
  SpeReport report;
  report.keys = options.keys;
  Places places;
  std::uint64_t first = ~std::uint64_t{0}, last = 0;
  for (std::uint32_t stream = 0; stream < trace.streams().size(); ++stream) {
    spe::RecordDecoder decoder;
    for (const auto& piece : trace.streams()[stream].pieces) {
      decoder.decode(piece, [&](const Record& record) {
        count(report, record);
        if (record.is_load()) places.add(stream, record);
        if (!record.has(Record::kTimestamp)) return;
        first = std::min(first, record.timestamp);
        last = std::max(last, record.timestamp);
      });
    }
    add(report.decoded, decoder.finish());
  }
  if (first <= last) {
    report.first_time = trace.info().time.nanoseconds(first);
    report.last_time = trace.info().time.nanoseconds(last);
  }
  for (const auto& place : places.all()) report.all.add(place.loads);
  report.rows = rows_of(trace, options.keys, places, report.without_symbol);
  const auto shown = std::ranges::find_if(report.rows, [&](const SpeRow& row) {
    return latency_percent(row.loads, report.all) < options.percent_limit;
  });
  const std::size_t most = options.limit.value_or(report.rows.size());
  const std::size_t kept = std::min(most, static_cast<std::size_t>(shown - report.rows.begin()));
  report.hidden = report.rows.size() - kept;
  report.rows.resize(kept);
  return report;
}

}  // namespace vpmu::profile
