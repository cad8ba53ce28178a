// SPDX-License-Identifier: MIT
#include "cli/filter/ranges.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "cli/atomic_file.hpp"
#include "cli/filter/event_text.hpp"
#include "cli/filter/json_words.hpp"
#include "cli/wrap.hpp"

namespace vpmu::cli::filter {

namespace {

using policy::FilterFile;
using silicon::arm64::CpuModel;
using silicon::arm64::EventRow;
using virt::arm64::EventFilter;
using virt::arm64::FilterRange;
using virt::arm64::FilterVerdict;

struct RangeVerdict {
  std::uint16_t event = 0;
  FilterVerdict verdict;
  /// SW_INCR and CHAIN: the filter says so, and they are counted all the same.
  bool always = false;

  [[nodiscard]] bool admitted() const { return always || verdict.admitted; }
};

RangeVerdict verdict_of(std::uint16_t event, const EventFilter& filter) {
  return {event, filter.explain(event), is_always_counted(event)};
}

std::vector<std::uint16_t> matching(const std::string& pattern, const CpuModel& model) {
  std::vector<std::uint16_t> events = named_events(model);
  std::erase_if(events, [&](std::uint16_t event) {
    const std::string name{policy::event_name(model, event)};
    return fnmatch(pattern.c_str(), name.c_str(), FNM_CASEFOLD) != 0;
  });
  return events;
}

Result<std::vector<std::uint16_t>> events_of(const std::string& text, const CpuModel& model) {
  if (text.find_first_of("*?") != std::string::npos) {
    auto events = matching(text, model);
    if (!events.empty()) return events;
    return fail(fmt::format("event {} matches none on {}; see `vpmu cpu show {} --events`",
                            in_quotes(text), model.name, model.name));
  }
  const auto event = policy::parse_event_number(text, model);
  if (!event) return tl::unexpected(event.error());
  return std::vector{*event};
}

std::string default_text(const EventFilter& filter) {
  return filter.default_admits() ? "allow" : "deny";
}

std::string counted(std::size_t ranges) {
  return fmt::format("{} {}", ranges, ranges == 1 ? "range" : "ranges");
}

std::string by_text(const RangeVerdict& verdict) {
  if (verdict.always) return "always";
  return verdict.verdict.range ? fmt::format("range {}", *verdict.verdict.range) : "default";
}

/// Ranges that change nothing, by their numbers. The first one decides the default at least.
std::vector<std::size_t> ranges_without_effect(const LoadedRanges& loaded) {
  std::vector<std::size_t> idle;
  EventFilter filter{loaded.model->pmu.version};
  for (std::size_t i = 0; i < loaded.ranges.ranges.size(); ++i) {
    const FilterRange& range = loaded.ranges.ranges[i];
    bool changes = i == 0;
    for (unsigned n = 0; n < range.nevents && !changes; ++n) {
      const auto event = static_cast<std::uint16_t>(range.base_event + n);
      changes = filter.admits(event) != (range.action == FilterRange::kAllow);
    }
    if (!changes) idle.push_back(i);
    if (!filter.set(range)) break;
  }
  return idle;
}

std::string idle_text(const LoadedRanges& loaded, std::size_t range) {
  return fmt::format("range {} ({}) changes nothing; remove it", range,
                     policy::describe(loaded.ranges.ranges[range]));
}

// ---- explain ------------------------------------------------------------------------------------

std::string legend(const std::vector<RangeVerdict>& verdicts, const LoadedRanges& loaded,
                   const EventFilter& filter) {
  std::set<std::size_t> ranges;
  bool by_default = false;
  bool always = false;
  for (const RangeVerdict& each : verdicts) {
    if (each.verdict.range && !each.always) ranges.insert(*each.verdict.range);
    by_default |= !each.verdict.range && !each.always;
    always |= each.always;
  }
  std::string text;
  for (const std::size_t range : ranges) {
    text += fmt::format("range {:<4} {}\n", range, policy::describe(loaded.ranges.ranges[range]));
  }
  if (by_default) {
    text += filter.ranges().empty()
                ? "default    there is no range, and so everything is allowed\n"
                : fmt::format("default    no range covers it, and the first one makes it {}\n",
                              default_text(filter));
  }
  if (always) text += "always     the PMU makes it itself, and no filter keeps it from counting\n";
  return text;
}

Json json(const RangeVerdict& each, const CpuModel& model) {
  Json one = Json::object();
  const std::string_view name = policy::event_name(model, each.event);
  if (!name.empty()) one["name"] = name;
  one["event"] = each.event;
  one["verdict"] = verdict_word(each.admitted());
  one["reason"] = each.always ? "always" : each.verdict.range ? "range" : "default";
  if (each.verdict.range && !each.always) one["range"] = *each.verdict.range;
  return one;
}

}  // namespace

Result<EventFilter> valid_filter(const LoadedRanges& loaded) {
  auto built = policy::build_filter(loaded.ranges, *loaded.model);
  if (!built.refusal) return std::move(built.filter);
  return fail(fmt::format("event filter '{}': {}", loaded.name, built.refusal->text));
}

std::vector<std::uint16_t> named_events(const CpuModel& model) {
  std::vector<std::uint16_t> events{silicon::arm64::kSwIncr, silicon::arm64::kChain};
  for (const EventRow& row : model.events) events.push_back(row.number);
  std::ranges::sort(events);
  return events;
}

bool is_always_counted(std::uint16_t event) {
  return event == silicon::arm64::kSwIncr || event == silicon::arm64::kChain;
}

Result<std::optional<LoadedRanges>> as_ranges(const FilterFile& file, const std::string& cpu) {
  const CpuModel* const wanted = silicon::arm64::find_cpu_model(cpu);
  std::optional<policy::RangeFilter> ranges = file.ranges;
  if (!ranges) {
    if (wanted == nullptr) return std::nullopt;
    if (!file.policy && !file.only_x86) ranges = policy::parse_range_bytes(file.bytes);
    if (!ranges) {
      return fail(
          fmt::format("event filter '{}': is no filter of ranges, as AArch64 guests have; "
                      "give one, or the --cpu that it is for",
                      file.name));
    }
  }
  if (wanted == nullptr && !cpu.empty()) {
    const auto model = policy::range_cpu_model(cpu);
    return fail(
        fmt::format("event filter '{}': is for AArch64 guests, and --cpu says otherwise: {}",
                    file.name, model.error().message));
  }
  if (wanted != nullptr && ranges->model != nullptr && wanted != ranges->model) {
    return fail(fmt::format("event filter '{}': is for {}, and --cpu says {}; change one of them",
                            file.name, ranges->model->name, cpu));
  }
  const CpuModel* const model = ranges->model != nullptr ? ranges->model : wanted;
  if (model == nullptr) {
    return fail(
        fmt::format("event filter '{}': does not say for which CPU it is; give --cpu "
                    "MODEL, e.g. neoverse-n1",
                    file.name));
  }
  return LoadedRanges{file.name, model, std::move(*ranges)};
}

Result<Output> build_ranges(const LoadedRanges& loaded, const BuildOptions& options) {
  const auto format = policy::filter_format(options.format);
  const auto filter = valid_filter(loaded);
  if (!filter) return tl::unexpected(filter.error());
  const std::string said = fmt::format("For {}: {}, by default {}.", loaded.model->name,
                                       counted(loaded.ranges.ranges.size()), default_text(*filter));
  std::string content;
  using policy::FilterFormat;
  switch (format.value_or(FilterFormat::kImage)) {
    case FilterFormat::kImage: content = policy::range_bytes(loaded.ranges); break;
    case FilterFormat::kHex: content = policy::range_hex(loaded.ranges); break;
    case FilterFormat::kJson: content = policy::range_json(loaded.ranges, said); break;
    case FilterFormat::kC: content = policy::range_c_source(loaded.ranges, said); break;
  }
  const std::string where = options.output == "-" ? "standard output" : options.output;
  const std::string report = fmt::format("{}: {}\n", where, said);
  if (options.output == "-") return Output{.text = std::move(content), .remarks = report};
  if (auto written = write_file(options.output, content, "event filter"); !written) {
    return tl::unexpected(written.error());
  }
  return Output{.text = report, .remarks = ""};
}

Result<Output> check_ranges(const LoadedRanges& loaded, bool json) {
  const auto built = policy::build_filter(loaded.ranges, *loaded.model);
  const bool valid = !built.refusal;
  const auto idle = valid ? ranges_without_effect(loaded) : std::vector<std::size_t>{};
  const int status = valid ? 0 : kStatusNo;
  if (json) {
    Json warnings = Json::array();
    for (const std::size_t range : idle) {
      warnings.push_back({{"range", range}, {"text", idle_text(loaded, range)}});
    }
    Json all = {{"filter_check", kJsonVersion},
                {"file", loaded.name},
                {"cpu", loaded.model->name},
                {"valid", valid},
                {"ranges", loaded.ranges.ranges.size()},
                {"default", default_text(built.filter)},
                {"warnings", std::move(warnings)}};
    if (!valid) {
      all["errno"] = "EINVAL";
      all["range"] = built.refusal->range;
      all["reason"] = built.refusal->text;
    }
    return Output{.text = print(all), .remarks = "", .status = status};
  }
  const std::size_t columns = output_columns();
  std::string text = fmt::format("{}: {}, by default {}\n", loaded.name,
                                 counted(loaded.ranges.ranges.size()), default_text(built.filter));
  text += wrapped(fmt::format("  {:<12} ", loaded.model->name), 15,
                  valid ? "valid" : "refused: " + built.refusal->text, columns) +
          "\n";
  for (const std::size_t range : idle) {
    text += wrapped("  warning      ", 15, idle_text(loaded, range), columns) + "\n";
  }
  return Output{.text = std::move(text), .remarks = "", .status = status};
}

Result<Output> explain_ranges(const LoadedRanges& loaded, const std::vector<std::string>& events,
                              bool json) {
  const auto filter = valid_filter(loaded);
  if (!filter) return tl::unexpected(filter.error());
  std::vector<std::uint16_t> asked;
  if (events.empty()) asked = named_events(*loaded.model);
  for (const std::string& text : events) {
    const auto meant = events_of(text, *loaded.model);
    if (!meant) return tl::unexpected(meant.error());
    asked.insert(asked.end(), meant->begin(), meant->end());
  }
  std::vector<RangeVerdict> verdicts;
  verdicts.reserve(asked.size());
  for (const std::uint16_t event : asked) verdicts.push_back(verdict_of(event, *filter));
  if (json) {
    Json list = Json::array();
    for (const RangeVerdict& each : verdicts) {
      list.push_back(vpmu::cli::filter::json(each, *loaded.model));
    }
    return Output{.text = print({{"filter_explain", kJsonVersion},
                                 {"file", loaded.name},
                                 {"cpu", loaded.model->name},
                                 {"default", default_text(*filter)},
                                 {"events", std::move(list)}}),
                  .remarks = ""};
  }
  std::string text = row_text("event", fmt::format("{:<8} {:<7} {}", "number", "verdict", "by"));
  for (const RangeVerdict& each : verdicts) {
    const std::string_view name = policy::event_name(*loaded.model, each.event);
    text += row_text(name.empty() ? "-" : name,
                     fmt::format("{:<8} {:<7} {}", fmt::format("{:#06x}", each.event),
                                 verdict_word(each.admitted()), by_text(each)));
  }
  text += '\n' + legend(verdicts, loaded, *filter);
  return Output{.text = std::move(text), .remarks = ""};
}

Result<Output> list_arm64_events(const CpuModel& model, const ListEventsOptions& options) {
  const auto events = options.pattern.empty()
                          ? Result<std::vector<std::uint16_t>>{named_events(model)}
                          : events_of(options.pattern, model);
  if (!events) return tl::unexpected(events.error());
  if (options.json) {
    Json list = Json::array();
    for (const std::uint16_t event : *events) {
      list.push_back({{"name", policy::event_name(model, event)}, {"event", event}});
    }
    return Output{.text = print({{"filter_events", kJsonVersion},
                                 {"cpu", model.name},
                                 {"tiers", false},
                                 {"events", std::move(list)}}),
                  .remarks = ""};
  }
  std::string text = row_text("event", "number");
  for (const std::uint16_t event : *events) {
    text += row_text(policy::event_name(model, event), fmt::format("{:#06x}", event));
    const EventRow* row = find_event(model.events, event);
    if (options.is_long && row != nullptr && row->note[0] != '\0') {
      text += wrapped("    ", 4, row->note, output_columns()) + "\n";
    }
  }
  return Output{.text = std::move(text), .remarks = ""};
}

}  // namespace vpmu::cli::filter
