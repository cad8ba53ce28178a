// SPDX-License-Identifier: MIT
//
// Rows of `vpmu stat` as people read them, as programs that know perf's -x read them, and as JSON
// (docs/stat.md).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "cli/stat/stat_rows.hpp"

namespace vpmu::cli::stat {

/// Machine time as seconds with nine decimals.
std::string seconds_text(std::uint64_t cycles, std::uint64_t hz);

/// Lines as perf stat prints them, each beginning with `prefix`; 80 columns wide where names and
/// numbers let it.
std::string stat_table(std::span<const StatRow> rows, std::string_view prefix = {});

/// Lines as `perf stat -x` prints them: [time,] [vCPU,] value, unit, event, nanoseconds on a
/// counter, percent of the time, metric, its unit. `time`: empty for none. What has the separator
/// in it is in double quotes.
std::string stat_csv(std::span<const StatRow> rows, std::string_view separator,
                     std::string_view time = {});
/// Whether fields can be told apart with it. "\t" written out is a tab, as in perf.
Result<std::string> parse_separator(const std::string& text);

/// An array of one object for each row.
nlohmann::ordered_json stat_json(std::span<const StatRow> rows);

}  // namespace vpmu::cli::stat
