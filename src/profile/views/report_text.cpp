// SPDX-License-Identifier: MIT
#include "profile/views/report_text.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/grouped.hpp"
#include "profile/views/columns.hpp"
#include "profile/views/function_name.hpp"

namespace vpmu::profile {

namespace {
constexpr std::size_t kTreeIndent = 6;
/// What the keys to the right of one get first.
constexpr std::size_t kLeastKeyColumns = 10;
/// Callers in a tree are shown up to so many frames from the row; the rest is counted.
constexpr std::size_t kMostCallers = 64;

std::string_view base_name(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

/// Wide enough for any name.
constexpr std::size_t kAnyWidth = 1u << 20;

std::string symbol_text(const Profile& profile, const RowKey& key, std::size_t columns) {
  constexpr std::size_t kMark = 4;
  const std::string what = key.by_address ? fmt::format("{:#x}", key.address)
                                          : short_function_name(profile.names[key.symbol],
                                                                std::max(columns, kMark) - kMark);
  return fmt::format("[{}] {}", mark(key.kind), what);
}

std::string line_text(const Profile& profile, const RowKey& key, bool with_symbol) {
  if (!key.file.empty()) return fmt::format("{}:{}", base_name(key.file), key.line);
  if (with_symbol) return "-";
  return key.by_address ? fmt::format("{:#x}", key.address) : profile.names[key.symbol];
}

bool has(const std::vector<SortKey>& keys, SortKey key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::string cell(const Profile& profile, const std::vector<SortKey>& keys, SortKey which,
                 const RowKey& key, std::size_t columns = kAnyWidth) {
  switch (which) {
    case SortKey::kSymbol: return symbol_text(profile, key, columns);
    case SortKey::kLine: return line_text(profile, key, has(keys, SortKey::kSymbol));
    case SortKey::kVcpu: return key.vcpu == kNoVcpu ? "-" : fmt::format("{}", key.vcpu);
    case SortKey::kImage:
      return key.image == kNoName ? "-" : std::string{base_name(profile.names[key.image])};
    case SortKey::kMode: return mode_name(key.mode);
  }
  return "";
}

/// What a caller is called: keys that are a sample's are the row's already.
std::string caller_text(const Profile& profile, const std::vector<SortKey>& keys, const RowKey& key,
                        std::size_t columns) {
  std::string text;
  for (const SortKey which : keys) {
    if (which == SortKey::kVcpu) continue;
    if (!text.empty()) text += "  ";
    text += cell(profile, keys, which, key, columns - std::min(columns, columns_of(text)));
  }
  return text;
}

/// A line of the tree for each caller; only a fork goes a step to the right.
class Tree {
 public:
  Tree(const Profile& profile, const ReportTable& table, const std::vector<SortKey>& keys,
       std::size_t columns)
      : profile_{profile}, table_{table}, keys_{keys}, columns_{columns} {}

  std::string text(const ReportRow& row) {
    add(row.callers, row.total, 0, 0);
    return std::move(text_);
  }

 private:
  void add(const std::vector<Caller>& callers, const Weight& of, std::size_t forks,
           std::size_t depth) {
    for (const Caller& caller : callers) {
      const bool alone = callers.size() == 1 && caller.weight == of && depth != 0;
      // What does not fit any more stays where it is: names need room, too.
      const std::size_t indent =
          kTreeIndent + std::min(2 * (forks + (alone ? 0 : 1)), columns_ / 3);
      const std::string share =
          alone ? std::string(8, ' ')
                : fmt::format("{:6.2f}% ", percent(caller.weight, table_.total));
      if (depth == kMostCallers) {
        text_ += fmt::format("{}{}...\n", std::string(indent, ' '), std::string(8, ' '));
        return;
      }
      const std::string before = std::string(indent, ' ') + share;
      text_ += cut(before + caller_text(profile_, keys_, caller.key, columns_ - before.size()),
                   columns_);
      text_ += '\n';
      add(caller.callers, caller.weight, forks + (alone ? 0 : 1), depth + 1);
    }
  }

  const Profile& profile_;
  const ReportTable& table_;
  const std::vector<SortKey>& keys_;
  std::size_t columns_;
  std::string text_;
};

std::string weight_text(const Weight& weight, const Weight& whole, std::size_t samples_width) {
  return fmt::format("{:6.2f}% {:>{}} {:>7}", percent(weight, whole), grouped(weight.samples),
                     samples_width, short_number(weight.count));
}

/// How wide each key's column is. The last one takes what is left.
std::vector<std::size_t> key_widths(const Profile& profile, const ReportTable& table,
                                    const std::vector<SortKey>& keys, std::size_t room) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
    std::size_t width = columns_of(name(keys[i]));
    for (const ReportRow& row : table.rows) {
      width = std::max(width, columns_of(cell(profile, keys, keys[i], row.key)));
    }
    const std::size_t left = keys.size() - i;
    const std::size_t others = kLeastKeyColumns * (left - 1);
    const std::size_t share =
        std::max({room / left, room > others ? room - others : 0, std::size_t{4}});
    width = std::min(width, share);
    widths.push_back(width);
    room -= std::min(room, width);
  }
  widths.push_back(std::max<std::size_t>(room, 4));
  return widths;
}

/// "symbol+0x12": the offset stays.
std::string place_text(const std::string& place, std::size_t columns) {
  const std::size_t plus = place.rfind('+');
  if (plus == std::string::npos || place.size() - plus > columns) return cut(place, columns);
  const std::string_view offset = std::string_view{place}.substr(plus);
  return short_function_name(std::string_view{place}.substr(0, plus), columns - offset.size())
      .append(offset);
}

std::string duration_text(std::uint64_t ns) {
  return fmt::format("{:.6f} s", static_cast<double>(ns) / 1e9);
}
}  // namespace

std::string report_header(const Profile& profile, const std::string& file, std::size_t columns) {
  std::string text;
  const auto add = [&](const std::string& line) { text += cut(line, columns) + "\n"; };
  add(fmt::format("file      {}", clean_text(file)));
  for (const std::string& guest : profile.guests) add(fmt::format("guest     {}", guest));
  if (profile.guests.empty() && !profile.processes.empty()) {
    add(fmt::format("process   {}", fmt::join(profile.processes, ", ")));
  }
  std::uint64_t samples = 0;
  for (const EventTotals& event : profile.events) samples += event.total.samples;
  add(fmt::format("samples   {}, {} lost", grouped(samples), grouped(profile.lost)));
  add(fmt::format("duration  {} from the first sample to the last",
                  duration_text(profile.last_time - profile.first_time)));
  if (!profile.complete) {
    add("The recording was cut short: this is what had been written by then.");
  }
  return text;
}

std::string report_text(const Profile& profile, const ReportTable& table,
                        const ReportOptions& options, std::size_t columns) {
  const EventTotals& event = profile.events[table.event];
  std::string text = cut(fmt::format("event     {}", event.name), columns) + "\n";
  text += cut(fmt::format("          {} sample{}, count {}", grouped(event.total.samples),
                          event.total.samples == 1 ? "" : "s", grouped(event.total.count)),
              columns) +
          "\n";
  if (event.total.samples == 0) return text + "\nNo samples of this event.\n";

  const std::size_t samples_width = std::max<std::size_t>(7, grouped(table.total.samples).size());
  const std::size_t weight_width = 7 + 1 + samples_width + 1 + 7;
  const std::size_t fixed = 2 * weight_width + 2 + 2 * options.keys.size();
  const auto widths =
      key_widths(profile, table, options.keys, columns > fixed ? columns - fixed : 0);
  const auto line = [&](std::string numbers, const auto& cell_of) {
    for (std::size_t i = 0; i < options.keys.size(); ++i) {
      numbers += "  ";
      numbers += padded(cell_of(options.keys[i], widths[i]), widths[i]);
    }
    return numbers.substr(0, numbers.find_last_not_of(' ') + 1) + "\n";
  };
  const std::string titles =
      fmt::format("{:>7} {:>{}} {:>7}", "%", "samples", samples_width, "count");
  text += fmt::format("\n{:^{}}  {:^{}}", "self", weight_width, "total", weight_width);
  text = text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  text +=
      line(titles + "  " + titles, [](SortKey key, std::size_t) { return std::string{name(key)}; });
  for (const ReportRow& row : table.rows) {
    text += line(weight_text(row.self, table.total, samples_width) + "  " +
                     weight_text(row.total, table.total, samples_width),
                 [&](SortKey key, std::size_t width) {
                   return cell(profile, options.keys, key, row.key, width);
                 });
    if (options.callers) text += Tree{profile, table, options.keys, columns}.text(row);
  }
  if (table.hidden != 0) {
    text += fmt::format("\n{} more rows (--limit, --percent-limit)\n", grouped(table.hidden));
  }
  return text;
}

std::string branches_text(const Profile& profile, const BranchTable& table, std::size_t columns) {
  std::string text = cut(fmt::format("event     {}", profile.events[table.event].name), columns);
  text += fmt::format("\n          {} branches in branch stacks\n", grouped(table.taken));
  if (table.taken == 0) return text + "\nNo branch stacks: record with -b.\n";
  const std::size_t taken_width = std::max<std::size_t>(7, grouped(table.taken).size());
  const std::size_t fixed = 7 + 1 + taken_width + 1 + 8 + 1 + 7 + 2 + 2;
  const std::size_t each = std::max<std::size_t>((std::max(columns, fixed) - fixed) / 2, 4);
  text += fmt::format("\n{:>7} {:>{}} {:>8} {:>7}  {}  to\n", "%", "taken", taken_width, "mispred.",
                      "cycles", padded("from", each));
  for (const BranchRow& row : table.rows) {
    const double share = 100.0 * static_cast<double>(row.taken) / static_cast<double>(table.taken);
    text +=
        fmt::format("{:6.2f}% {:>{}} {:>8} {:>7}  {}  {}\n", share, grouped(row.taken), taken_width,
                    row.mispredicted ? fmt::format("{:.1f}%", *row.mispredicted) : "-",
                    row.cycles ? fmt::format("{:.1f}", *row.cycles) : "-",
                    padded(place_text(row.from, each), each), place_text(row.to, each));
  }
  if (table.hidden != 0) {
    text += fmt::format("\n{} more branches (--limit, --percent-limit)\n", grouped(table.hidden));
  }
  return text;
}

}  // namespace vpmu::profile
