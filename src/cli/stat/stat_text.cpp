// SPDX-License-Identifier: MIT
#include "cli/stat/stat_text.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "base/user_text.hpp"

namespace vpmu::cli::stat {

namespace {
using Json = nlohmann::ordered_json;

constexpr const char* kNotCounted = "<not counted>";
constexpr std::uint64_t kNsPerMs = 1'000'000;

const char* unit(const StatRow& row) {
  return row.event->task_clock ? "msec" : "";
}

/// Milliseconds with two decimals.
std::string milliseconds(std::uint64_t ns, bool with_groups) {
  const std::uint64_t hundredths = (ns + kNsPerMs / 200) / (kNsPerMs / 100);
  const std::uint64_t whole = hundredths / 100;
  return fmt::format("{}.{:02}", with_groups ? grouped(whole) : std::to_string(whole),
                     hundredths % 100);
}

std::string value_text(const StatRow& row, bool with_groups) {
  if (row.not_counted != nullptr) return kNotCounted;
  if (row.event->task_clock) return milliseconds(row.value(), with_groups);
  return with_groups ? grouped(row.value()) : std::to_string(row.value());
}

std::string vcpu_text(const StatRow& row) {
  return row.vcpu ? fmt::format("vCPU{}", *row.vcpu) : "";
}

std::string metric_text(const Metric& metric) {
  return fmt::format(
      "{:>7} {}",
      fmt::format("{:.{}f}{}", metric.value, metric.decimals, metric.percent ? "%" : ""),
      metric.unit);
}

std::string remark(const StatRow& row) {
  if (row.not_counted != nullptr) return fmt::format("({})", row.not_counted);
  if (row.in_error != 0) {
    return fmt::format("(not on {} of the vCPUs: pinned, and did not fit)", row.in_error);
  }
  if (row.time_running_ns < row.time_enabled_ns) {
    return fmt::format("({:.2f}%)", row.running_percent());
  }
  return {};
}

/// How wide the columns are.
struct Columns {
  std::size_t vcpu = 0, value = 15, unit = 0, name = 20, metric = 0;
};
constexpr std::size_t kMetricWidth = 25;

Columns columns(std::span<const StatRow> rows) {
  Columns widths;
  for (const StatRow& row : rows) {
    widths.vcpu = std::max(widths.vcpu, vcpu_text(row).size());
    widths.value = std::max(widths.value, value_text(row, true).size());
    widths.unit = std::max(widths.unit, std::string_view{unit(row)}.size());
    widths.name = std::max(widths.name, row.event->name.size());
    if (row.metric) widths.metric = kMetricWidth;
  }
  return widths;
}

std::string table_line(const StatRow& row, const Columns& widths) {
  std::string line;
  if (widths.vcpu != 0) line += fmt::format("{:<{}} ", vcpu_text(row), widths.vcpu);
  line += fmt::format("{:>{}}  ", value_text(row, true), widths.value);
  if (widths.unit != 0) line += fmt::format("{:<{}} ", unit(row), widths.unit);
  line += fmt::format("{:<{}}", row.event->name, widths.name);
  const std::string metric = row.metric ? "# " + metric_text(*row.metric) : "";
  const std::string end = remark(row);
  // A reason why there is no value takes the metric's place.
  if (row.not_counted != nullptr) {
    line += fmt::format(" {}", end);
  } else if (widths.metric != 0) {
    line += fmt::format(" {:<{}} {}", metric, widths.metric + 2, end);
  } else {
    line += fmt::format(" {}", end);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string field(std::string_view text, std::string_view separator) {
  if (text.find(separator) == std::string_view::npos && text.find('"') == std::string_view::npos) {
    return std::string{text};
  }
  std::string quoted{'"'};
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string{c};
  return quoted + '"';
}
}  // namespace

std::string seconds_text(std::uint64_t cycles, std::uint64_t hz) {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  const auto fraction = static_cast<std::uint64_t>(Wide{cycles % hz} * kNsPerSecond / hz);
  return fmt::format("{}.{:09}", cycles / hz, fraction);
}

std::string stat_table(std::span<const StatRow> rows, std::string_view prefix) {
  const Columns widths = columns(rows);
  std::string text;
  for (const StatRow& row : rows) {
    text += fmt::format("{}{}\n", prefix, table_line(row, widths));
  }
  return text;
}

std::string stat_csv(std::span<const StatRow> rows, std::string_view separator,
                     std::string_view time) {
  std::string text;
  for (const StatRow& row : rows) {
    std::vector<std::string> fields;
    if (!time.empty()) fields.emplace_back(time);
    if (row.vcpu) fields.push_back(vcpu_text(row));
    fields.push_back(value_text(row, false));
    fields.emplace_back(unit(row));
    fields.push_back(field(row.event->name, separator));
    fields.push_back(std::to_string(row.time_running_ns));
    fields.push_back(fmt::format("{:.2f}", row.running_percent()));
    fields.push_back(row.metric ? fmt::format("{:.{}f}", row.metric->value, row.metric->decimals)
                                : "");
    fields.push_back(row.metric ? field(row.metric->unit, separator) : "");
    text += fmt::format("{}\n", fmt::join(fields, separator));
  }
  return text;
}

Result<std::string> parse_separator(const std::string& text) {
  if (text == "\\t" || text == "\t") return std::string{"\t"};
  const bool bad = std::ranges::any_of(text, [](char c) {
    return c < ' ' || c > '~' || c == '"' || c == '.' || c == '<' || c == '>' ||
           (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  if (text.empty() || bad) {
    return fail(
        fmt::format("-x {}: fields cannot be told apart with that; give a comma, a "
                    "semicolon, a colon or \\t",
                    in_quotes(text)));
  }
  return text;
}

Json stat_json(std::span<const StatRow> rows) {
  Json json = Json::array();
  for (const StatRow& row : rows) {
    Json each{{"event", row.event->name}};
    if (row.vcpu) each["vcpu"] = *row.vcpu;
    each["unit"] = unit(row);
    if (row.not_counted != nullptr) {
      each["value"] = nullptr;
      each["not_counted"] = row.not_counted;
    } else if (row.event->task_clock) {
      each["value"] = static_cast<double>(row.value()) / kNsPerMs;
    } else {
      each["value"] = row.value();
      each["count"] = row.count;
    }
    each["time_enabled_ns"] = row.time_enabled_ns;
    each["time_running_ns"] = row.time_running_ns;
    each["running_percent"] = row.running_percent();
    if (row.in_error != 0) each["vcpus_in_error"] = row.in_error;
    if (row.metric) {
      each["metric"] = {
          {"value", row.metric->value},
          {"unit", (row.metric->percent ? "% " : "") + std::string{row.metric->unit}}};
    }
    json.push_back(std::move(each));
  }
  return json;
}

}  // namespace vpmu::cli::stat
