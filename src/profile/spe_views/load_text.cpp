// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "profile/spe_views/load_table.hpp"
#include "profile/views/columns.hpp"
#include "profile/views/function_name.hpp"
#include "profile/views/name_table.hpp"

namespace vpmu::profile {

namespace {

/// With fewer columns, rows do not say where their data comes from: names need room.
constexpr std::size_t kColumnsForSources = 100, kSourceColumns = 18;

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

double mean(std::uint64_t sum, std::uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

std::string several(std::uint64_t count, std::string_view one, std::string_view more) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : more);
}

/// What is in front of the tables.
class Head {
 public:
  explicit Head(std::size_t columns) : columns_{columns} {}
  void add(std::string_view label, const std::string& what) {
    text_ += cut(fmt::format("{:<10}{}", label, what), columns_) + "\n";
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::size_t columns_;
  std::string text_;
};

std::string head_text(const SpeTraceInfo& info, std::size_t streams, const SpeReport& report,
                      std::size_t columns) {
  const spe::DecoderTotals& decoded = report.decoded;
  Head head{columns};
  head.add("file", clean_text(info.file));
  if (!info.name.empty()) head.add(info.guest ? "guest" : "process", info.name);
  if (!info.cpu_model.empty()) head.add("CPU", info.cpu_model);
  head.add("records",
           fmt::format("{} from {}", grouped(decoded.records), several(streams, "unit", "units")));
  head.add("", fmt::format("{}, {}, {}, {} other", several(report.all.count, "load", "loads"),
                           several(report.stores, "store", "stores"),
                           several(report.branches, "branch", "branches"), grouped(report.others)));
  if (report.branches != 0) {
    head.add("", fmt::format("{} mispredicted ({:.1f}% of branches)", grouped(report.mispredicted),
                             share(report.mispredicted, report.branches)));
  }
  head.add("duration",
           fmt::format("{:.6f} s from the first record to the last",
                       static_cast<double>(report.last_time - report.first_time) / 1e9));
  if (info.truncated != 0)
    head.add("", fmt::format("records were lost {} times", grouped(info.truncated)));
  if (info.collided != 0) {
    head.add("", fmt::format("samples collided in {}", several(info.collided, "piece", "pieces")));
  }
  if (decoded.bad_bytes + decoded.reserved_packets != 0) {
    head.add("", fmt::format("{} and {} passed over",
                             several(decoded.reserved_packets, "unknown packet", "unknown packets"),
                             several(decoded.bad_bytes, "bad byte", "bad bytes")));
  }
  if (decoded.cut_short) head.add("", "A stream ends within a record.");
  if (!info.complete) {
    head.add("", "The recording was cut short: this is what had been written by then.");
  }
  return head.text();
}

std::string sources_text(const SpeLoads& all, std::size_t columns) {
  std::string text = fmt::format("\n{:>7} {:>9} {:>9}  data from\n", "% loads", "loads", "mean");
  std::array<std::size_t, SpeLoads::kSources> order{};
  for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
  std::ranges::stable_sort(
      order, [&all](std::size_t a, std::size_t b) { return all.sources[a] > all.sources[b]; });
  for (const std::size_t source : order) {
    if (all.sources[source] == 0) continue;
    text +=
        cut(fmt::format("{:6.2f}% {:>9} {:>9.1f}  {}", share(all.sources[source], all.count),
                        grouped(all.sources[source]),
                        mean(all.source_latency[source], all.sources[source]), source_name(source)),
            columns) +
        "\n";
  }
  return text;
}

std::string most_from(const SpeLoads& loads) {
  const auto most = std::ranges::max_element(loads.sources);
  const auto source = static_cast<std::size_t>(most - loads.sources.begin());
  return fmt::format("{} {:.0f}%", source_name(source), share(*most, loads.count));
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string cell(const SpeRow& row, SortKey key, bool by_symbol, std::size_t columns) {
  switch (key) {
    case SortKey::kSymbol: {
      const std::string mark_text = fmt::format("[{}] ", mark(row.kind));
      if (row.by_address) return fmt::format("{}{:#x}", mark_text, row.address);
      return mark_text + short_function_name(row.symbol, std::max(columns, std::size_t{5}) - 4);
    }
    case SortKey::kLine:
      if (!row.file.empty()) return fmt::format("{}:{}", base_name(row.file), row.line);
      if (by_symbol) return "-";
      return row.by_address ? fmt::format("{:#x}", row.address) : row.symbol;
    case SortKey::kImage: return row.image.empty() ? "-" : std::string{base_name(row.image)};
    default: return "";
  }
}

std::string rows_text(const SpeReport& report, std::size_t columns) {
  const bool with_source = columns >= kColumnsForSources;
  const bool by_symbol = std::ranges::find(report.keys, SortKey::kSymbol) != report.keys.end();
  std::string title = fmt::format("{:>7} {:>8} {:>7} {:>5} {:>5} {:>5} {:>5}", "% wait", "loads",
                                  "mean", "most", "L1D%", "LLC%", "TLB%");
  if (with_source) title += fmt::format("  {:<{}}", "most from", kSourceColumns);
  const std::size_t left = columns - std::min(columns, columns_of(title));
  const std::size_t each = std::max<std::size_t>(left / report.keys.size(), 6) - 2;
  const auto line = [&](std::string text, const auto& cell_of) {
    for (const SortKey key : report.keys) {
      text += "  ";
      text += padded(cell_of(key), each);
    }
    return cut(text.substr(0, text.find_last_not_of(' ') + 1), columns) + "\n";
  };
  std::string text{'\n'};
  text += line(title, [](SortKey key) { return std::string{name(key)}; });
  for (const SpeRow& row : report.rows) {
    const SpeLoads& loads = row.loads;
    std::string numbers = fmt::format(
        "{:6.2f}% {:>8} {:>7.1f} {:>5} {:>5.1f} {:>5.1f} {:>5.1f}",
        latency_percent(loads, report.all), short_number(loads.count),
        mean(loads.latency, loads.count), loads.longest, share(loads.l1d_refills, loads.count),
        share(loads.llc_misses, loads.count), share(loads.tlb_walks, loads.count));
    if (with_source) {
      numbers += "  ";
      numbers += padded(most_from(loads), kSourceColumns);
    }
    text += line(numbers, [&](SortKey key) { return cell(row, key, by_symbol, each); });
  }
  if (report.hidden != 0) {
    text += fmt::format("\n{} more rows (--limit, --percent-limit)\n", grouped(report.hidden));
  }
  return text;
}

}  // namespace

std::string spe_report_text(const SpeTraceInfo& info, std::size_t streams, const SpeReport& report,
                            std::size_t columns) {
  std::string text = head_text(info, streams, report, columns);
  if (report.all.count == 0) return text + "\nThere are no loads in it.\n";
  return text + sources_text(report.all, columns) + rows_text(report, columns);
}

}  // namespace vpmu::profile
