// SPDX-License-Identifier: MIT
//
// The table of `vpmu report`: for each symbol (or line, vCPU, image, mode, or several of them),
// what happened in it, and what happened in it and in all that it called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profile/symbols/address_space.hpp"
#include "profile/views/profile.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

enum class SortKey : std::uint8_t { kSymbol, kLine, kVcpu, kImage, kMode };
/// "symbol", "line", ...
const char* name(SortKey key);
/// Comma-separated names of keys, each at most once.
Result<std::vector<SortKey>> parse_sort_keys(std::string_view text);

/// What a row is about. Only what is among the keys is set.
struct RowKey {
  NameId symbol = kNoName;
  std::uint64_t address = 0;  ///< where there is no symbol (or no line), in the image as linked
  bool by_address = false;
  CodeKind kind = CodeKind::kUnknown;
  NameId image = kNoName;
  perf_data::CpuMode mode = perf_data::CpuMode::kUnknown;
  std::string file;  ///< of the source line; empty: not known
  unsigned line = 0;
  std::uint32_t vcpu = kNoVcpu;
};

/// Who called what a row is about, and how often on the way to a sample.
struct Caller {
  RowKey key;
  Weight weight;
  std::vector<Caller> callers;  ///< the heaviest first
};

struct ReportRow {
  RowKey key;
  Weight self;
  Weight total;  ///< each sample once, however often the row's function is in its stack
  std::vector<Caller> callers;
};

struct ReportOptions {
  std::vector<SortKey> keys{SortKey::kSymbol};
  bool callers = false;
  std::optional<std::size_t> limit = {};  ///< rows
  double percent_limit = 0;               ///< of a row's total, and of a caller's
};

struct ReportTable {
  std::uint32_t event = 0;
  Weight total;                 ///< of the event
  std::vector<ReportRow> rows;  ///< the largest self first
  std::size_t hidden = 0;       ///< rows beyond the limits
};

/// Share of the whole, in percent: of the event's count, or of samples where nothing was counted.
double percent(const Weight& part, const Weight& whole);

ReportTable make_report_table(const Profile& profile, AddressSpaces& spaces, std::uint32_t event,
                              const ReportOptions& options);

}  // namespace vpmu::profile
