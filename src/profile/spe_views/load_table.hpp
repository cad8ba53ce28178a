// SPDX-License-Identifier: MIT
//
// Where a trace's loads wait, and for what: by symbol, line or image, those first that waited the
// longest in all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "profile/spe/record_decoder.hpp"
#include "profile/spe_views/trace_file.hpp"
#include "profile/views/profile.hpp"
#include "profile/views/report_table.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

/// Loads that were sampled, and what they met. Latencies are cycles, saturated as the unit does.
struct SpeLoads {
  /// Behind the numbers that are known: all others, and loads whose source is not told.
  static constexpr std::size_t kOtherSource = spe::kDataSources, kSourceNotTold = kOtherSource + 1,
                               kSources = kSourceNotTold + 1;

  std::uint64_t count = 0;
  std::uint64_t latency = 0;  ///< sums, of all of them
  std::uint64_t issue = 0;
  std::uint64_t translation = 0;
  std::uint16_t longest = 0;
  std::uint64_t l1d_refills = 0;
  std::uint64_t llc_misses = 0;
  std::uint64_t tlb_walks = 0;
  std::uint64_t remote = 0;
  std::array<std::uint64_t, kSources> sources{};         ///< counts
  std::array<std::uint64_t, kSources> source_latency{};  ///< sums

  void add(const spe::Record& record);
  void add(const SpeLoads& other);
};
/// "L1", "DRAM", "other", "not told", or the number.
std::string source_name(std::size_t source);

struct SpeRow {
  std::string symbol;         ///< empty: there is none, and the row is an address's
  std::uint64_t address = 0;  ///< as linked; where nothing else is known
  bool by_address = false;
  CodeKind kind = CodeKind::kUnknown;
  std::string image;  ///< empty: nothing is mapped there
  std::string file;   ///< of the source line; empty: not known
  unsigned line = 0;
  SpeLoads loads;
};

struct SpeReport {
  std::vector<SortKey> keys;
  spe::DecoderTotals decoded;  ///< of all streams; cut_short if any is
  std::uint64_t stores = 0, branches = 0, mispredicted = 0, others = 0;
  std::uint64_t first_time = 0, last_time = 0;  ///< nanoseconds
  SpeLoads all;
  std::uint64_t without_symbol = 0;  ///< loads
  std::vector<SpeRow> rows;
  std::size_t hidden = 0;  ///< rows beyond the limits
};

struct SpeReportOptions {
  std::vector<SortKey> keys{SortKey::kSymbol};  ///< of symbol, line and image
  std::optional<std::size_t> limit = {};
  double percent_limit = 0;  ///< of the latency of all loads
};

/// An error: a key that records of SPE do not have.
Result<SpeReport> make_spe_report(SpeTrace& trace, const SpeReportOptions& options);

/// Of the latency of all loads.
double latency_percent(const SpeLoads& part, const SpeLoads& whole);

/// No line is longer than `columns`, which are at least 60.
std::string spe_report_text(const SpeTraceInfo& info, std::size_t streams, const SpeReport& report,
                            std::size_t columns);
nlohmann::ordered_json spe_report_json(const SpeTraceInfo& info, std::size_t streams,
                                       const SpeReport& report);

}  // namespace vpmu::profile
