// SPDX-License-Identifier: MIT
#include "cli/filter/explain.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "cli/filter/json_words.hpp"
#include "cli/filter/ranges.hpp"
#include "cli/wrap.hpp"
#include "policy/event_pattern.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::MeantEvents;
using policy::NamedEvent;
using silicon::x86::EventSelector;
using virt::x86::EventFilter;
using virt::x86::FilterImage;
using virt::x86::FilterVerdict;
using Reason = FilterVerdict::Reason;

EventVerdict verdict_of(const NamedEvent& event, const EventFilter& filter) {
  return {event.name, range_of(event.selector), filter.explain(event.selector)};
}

FixedVerdict fixed_verdict(unsigned k, const LoadedFilter& filter) {
  return {k, fixed_name(*filter.catalogue, k), filter.filter->explain_fixed(k).admitted};
}

/// What somebody wrote by its code: neighbours with the same verdict together. A single one has the
/// names that the catalogue knows for it.
void add_codes(const MeantEvents& meant, const LoadedFilter& filter, Explanation& explanation) {
  const bool single = meant.selectors.size() == 1;
  for (std::size_t event = 0; event < meant.selectors.events(); ++event) {
    EventVerdict* last = nullptr;
    for (unsigned u = 0; u <= 0xff; ++u) {
      const EventSelector selector{static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(u)};
      if (!meant.selectors.contains(selector)) continue;
      const FilterVerdict verdict = filter.filter->explain(selector);
      if (last != nullptr && last->verdict == verdict && last->codes.last + 1U == u) {
        last->codes.last = selector.unit_mask;
        continue;
      }
      const auto named =
          single ? filter.catalogue->named(selector) : std::vector<const NamedEvent*>{};
      explanation.events.push_back(
          {named.empty() ? "" : named.front()->name, range_of(selector), verdict});
      last = &explanation.events.back();
    }
  }
}

void add(const MeantEvents& meant, const LoadedFilter& filter, Explanation& explanation) {
  for (const NamedEvent* event : meant.named) {
    if (!event->fixed_only) explanation.events.push_back(verdict_of(*event, *filter.filter));
  }
  if (meant.named.empty()) add_codes(meant, filter, explanation);
  for (unsigned k = 0; k < 32; ++k) {
    const bool there =
        std::ranges::find(explanation.fixed, k, &FixedVerdict::counter) != explanation.fixed.end();
    if ((meant.fixed >> k & 1) != 0 && !there) {
      explanation.fixed.push_back(fixed_verdict(k, filter));
    }
  }
}

// ---- As text ------------------------------------------------------------------------------------

std::string table(const Explanation& explanation) {
  std::string text;
  if (!explanation.events.empty()) {
    text += row_text("event", fmt::format("{:<15} {:<7} {}", "code", "verdict", "by"));
  }
  for (const EventVerdict& event : explanation.events) {
    text += row_text(event.name.empty() ? "-" : event.name,
                     fmt::format("{:<15} {:<7} {}", code_text(event.codes),
                                 verdict_word(event.verdict.admitted), reason_text(event.verdict)));
  }
  if (explanation.fixed.empty()) return text;
  if (!text.empty()) text += '\n';
  text += row_text("fixed counter", fmt::format("{:<15} {:<7} {}", "", "verdict", "by"));
  for (const FixedVerdict& fixed : explanation.fixed) {
    text += row_text(fmt::format("{}  {}", fixed.counter, fixed.name),
                     fmt::format("{:<15} {:<7} {}", "", verdict_word(fixed.admitted), "bitmap"));
  }
  return text;
}

/// What `by` of the table means: the entries that it names, and what comes of no entry.
std::string legend(const Explanation& explanation, const LoadedFilter& filter,
                   std::size_t columns) {
  const FilterImage& image = filter.filter->image();
  std::set<std::uint32_t> entries;
  bool not_included = false;
  for (const EventVerdict& event : explanation.events) {
    if (event.verdict.reason == Reason::kNotIncluded) {
      not_included = true;
    } else {
      entries.insert(event.verdict.entry);
    }
  }
  std::string text;
  for (const std::uint32_t entry : entries) {
    const auto says = decode_entry(virt::x86::FilterEntry{{image.entries[entry]}}, image.masked(),
                                   filter.filter->vendor());
    text += fmt::format("entry {:<4} {:#018x}  {}\n", entry, image.entries[entry],
                        says ? policy::describe(*says) : "");
  }
  if (not_included) {
    text +=
        fmt::format("no include: no entry includes it, and the action is {}\n", action_word(image));
  }
  if (!explanation.fixed.empty()) {
    text += wrapped(fmt::format("bitmap     {:#x}: ", image.fixed_bitmap), 11,
                    "fixed counters are decided by it alone, whatever the entries say", columns) +
            "\n";
  }
  return text;
}

std::string totals(const Explanation& explanation, const LoadedFilter& filter) {
  const auto allowed = std::ranges::count_if(
      explanation.events, [](const EventVerdict& event) { return event.verdict.admitted; });
  std::size_t selectors = 0;
  std::size_t all = 0;
  for (std::size_t event = 0; event < policy::event_selects(filter.filter->vendor()); ++event) {
    for (unsigned u = 0; u <= 0xff; ++u, ++all) {
      if (filter.filter->admits(
              {static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(u)})) {
        ++selectors;
      }
    }
  }
  return fmt::format("allowed: {} of {} named events of {}, {} of {} codes\n", allowed,
                     explanation.events.size(), cpu_name(*filter.catalogue), selectors, all);
}

// ---- As JSON ------------------------------------------------------------------------------------

Json json(const EventVerdict& event) {
  Json one = Json::object();
  if (!event.name.empty()) one["name"] = event.name;
  one["event"] = event.codes.event;
  one["umask"] = event.codes.first;
  if (event.codes.last != event.codes.first) one["last_umask"] = event.codes.last;
  one["verdict"] = verdict_word(event.verdict.admitted);
  one["reason"] = virt::x86::name(event.verdict.reason);
  if (event.verdict.reason != Reason::kNotIncluded) one["entry"] = event.verdict.entry;
  return one;
}

Json json(const Explanation& explanation, const LoadedFilter& filter) {
  Json events = Json::array();
  for (const EventVerdict& event : explanation.events) events.push_back(json(event));
  Json fixed = Json::array();
  for (const FixedVerdict& counter : explanation.fixed) {
    fixed.push_back({{"counter", counter.counter},
                     {"name", counter.name},
                     {"verdict", verdict_word(counter.admitted)}});
  }
  return {{"filter_explain", kJsonVersion},     {"file", filter.name},
          {"cpu", cpu_name(*filter.catalogue)}, {"action", action_word(filter.filter->image())},
          {"events", std::move(events)},        {"fixed_counters", std::move(fixed)}};
}
}  // namespace

Result<Explanation> explain(const LoadedFilter& filter, const std::vector<std::string>& events) {
  Explanation explanation;
  for (const std::string& text : events) {
    const auto meant = policy::parse_event_pattern(text, *filter.catalogue);
    if (!meant) return tl::unexpected(meant.error());
    add(*meant, filter, explanation);
  }
  return explanation;
}

Explanation explain_all(const LoadedFilter& filter) {
  Explanation explanation;
  for (const NamedEvent& event : filter.catalogue->events()) {
    if (!event.fixed_only) explanation.events.push_back(verdict_of(event, *filter.filter));
  }
  for (unsigned k = 0; k < filter.catalogue->fixed_counters(); ++k) {
    explanation.fixed.push_back(fixed_verdict(k, filter));
  }
  return explanation;
}

Result<Output> run_explain(const ExplainOptions& options) {
  const auto file = policy::read_filter_file(options.file);
  if (!file) return tl::unexpected(file.error());
  const auto ranges = as_ranges(*file, options.cpu);
  if (!ranges) return tl::unexpected(ranges.error());
  if (*ranges) return explain_ranges(**ranges, options.events, options.json);
  const auto filter = load_filter(*file, options.cpu);
  if (!filter) return tl::unexpected(filter.error());
  const bool all = options.events.empty();
  const auto explanation =
      all ? Result<Explanation>{explain_all(*filter)} : explain(*filter, options.events);
  if (!explanation) return tl::unexpected(explanation.error());
  if (options.json) return Output{.text = print(json(*explanation, *filter)), .remarks = ""};
  std::string text = table(*explanation);
  text += '\n';
  text += legend(*explanation, *filter, output_columns());
  if (all) {
    text += '\n';
    text += totals(*explanation, *filter);
  }
  return Output{.text = std::move(text), .remarks = ""};
}

}  // namespace vpmu::cli::filter
