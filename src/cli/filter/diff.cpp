// SPDX-License-Identifier: MIT
#include "cli/filter/diff.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/filter/json_words.hpp"
#include "cli/filter/range_diff.hpp"
#include "cli/wrap.hpp"
#include "policy/selector_set.hpp"

namespace vpmu::cli::filter {

namespace {
using policy::EventCatalogue;
using policy::NamedEvent;
using policy::SelectorSet;
using policy::UnitMaskSet;
using silicon::x86::EventSelector;
using virt::x86::EventFilter;

SelectorSet named_selectors(const EventCatalogue& catalogue) {
  SelectorSet named{catalogue.vendor()};
  for (const NamedEvent& event : catalogue.events()) {
    if (!event.fixed_only) named.insert(event.selector);
  }
  return named;
}

/// The ranges of `differing` unit masks of an event select that have at least one code without a
/// name.
void add_ranges(std::uint16_t event, const UnitMaskSet& differing, const UnitMaskSet& named,
                bool a_admits, std::vector<UnnamedDifference>& ranges) {
  for (unsigned first = 0; first < differing.size(); ++first) {
    if (!differing[first]) continue;
    unsigned last = first;
    bool unnamed = !named[first];
    while (last + 1 < differing.size() && differing[last + 1]) unnamed |= !named[++last];
    if (unnamed) {
      ranges.push_back({{event, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last)},
                        event,
                        a_admits});
    }
    first = last;
  }
}

/// Event selects of which all unit masks differ alike, next to each other: one range.
std::vector<UnnamedDifference> merged(const std::vector<UnnamedDifference>& ranges) {
  const auto is_whole = [](const UnnamedDifference& range) {
    return range.codes.first == 0 && range.codes.last == 0xff;
  };
  std::vector<UnnamedDifference> all;
  for (const UnnamedDifference& range : ranges) {
    if (!all.empty() && is_whole(range) && is_whole(all.back()) &&
        all.back().a_admits == range.a_admits && all.back().last_event + 1 == range.codes.event) {
      all.back().last_event = range.last_event;
    } else {
      all.push_back(range);
    }
  }
  return all;
}

std::vector<UnnamedDifference> unnamed_differences(const EventFilter& a, const EventFilter& b,
                                                   const SelectorSet& named) {
  std::vector<UnnamedDifference> ranges;
  for (std::size_t i = 0; i < named.events(); ++i) {
    const auto event = static_cast<std::uint16_t>(i);
    UnitMaskSet only_a;
    UnitMaskSet only_b;
    for (unsigned u = 0; u <= 0xff; ++u) {
      const EventSelector selector{event, static_cast<std::uint8_t>(u)};
      only_a[u] = a.admits(selector) && !b.admits(selector);
      only_b[u] = b.admits(selector) && !a.admits(selector);
    }
    std::vector<UnnamedDifference> of_event;
    add_ranges(event, only_a, named.row(i), true, of_event);
    add_ranges(event, only_b, named.row(i), false, of_event);
    std::ranges::sort(of_event, {},
                      [](const UnnamedDifference& range) { return range.codes.first; });
    std::ranges::move(of_event, std::back_inserter(ranges));
  }
  return merged(ranges);
}

// ---- As text ------------------------------------------------------------------------------------

/// "0xd0/0x00-0x7f", "0x40/any to 0x4f/any".
std::string range_text(const UnnamedDifference& range) {
  std::string text = code_text(range.codes);
  if (range.last_event == range.codes.event) return text;
  return text + " to " + code_text({range.last_event, 0, 0xff});
}

std::string table(const Differences& found) {
  std::string text;
  for (const NamedDifference& event : found.named) {
    text += row_text(event.name, difference_text(code_text(event.codes), event.a_admits));
  }
  for (const UnnamedDifference& range : found.unnamed) {
    text += row_text("(no name)", difference_text(range_text(range), range.a_admits));
  }
  for (const FixedDifference& fixed : found.fixed) {
    text += row_text(fmt::format("fixed counter {}  {}", fixed.counter, fixed.name),
                     difference_text("", fixed.a_admits));
  }
  return text;
}

// ---- As JSON ------------------------------------------------------------------------------------

Json json(const Differences& found, const LoadedFilter& a, const LoadedFilter& b) {
  Json events = Json::array();
  for (const NamedDifference& event : found.named) {
    Json& one = events.emplace_back(
        Json{{"name", event.name}, {"event", event.codes.event}, {"umask", event.codes.first}});
    add_difference(one, event.a_admits);
  }
  Json unnamed = Json::array();
  for (const UnnamedDifference& range : found.unnamed) {
    Json& one = unnamed.emplace_back(Json{{"event", range.codes.event},
                                          {"last_event", range.last_event},
                                          {"umask", range.codes.first},
                                          {"last_umask", range.codes.last}});
    add_difference(one, range.a_admits);
  }
  Json fixed = Json::array();
  for (const FixedDifference& counter : found.fixed) {
    Json& one = fixed.emplace_back(Json{{"counter", counter.counter}, {"name", counter.name}});
    add_difference(one, counter.a_admits);
  }
  return {{"filter_diff", kJsonVersion},
          {"a", a.name},
          {"b", b.name},
          {"cpu", cpu_name(*a.catalogue)},
          {"same", !found.any()},
          {"events", std::move(events)},
          {"unnamed", std::move(unnamed)},
          {"fixed_counters", std::move(fixed)}};
}

/// The catalogue after which both are named.
Result<const EventCatalogue*> common_catalogue(const policy::FilterFile& a,
                                               const policy::FilterFile& b,
                                               const std::string& cpu) {
  if (cpu.empty() && a.policy && b.policy && a.policy->catalogue != b.policy->catalogue) {
    return fail(fmt::format("'{}' is for {} and '{}' for {}; give --cpu MODEL", a.name,
                            cpu_name(*a.policy->catalogue), b.name,
                            cpu_name(*b.policy->catalogue)));
  }
  return catalogue_for(a.policy ? a : b, cpu);
}
}  // namespace

Differences differences(const LoadedFilter& a, const LoadedFilter& b) {
  const EventCatalogue& catalogue = *a.catalogue;
  Differences found;
  for (const NamedEvent& event : catalogue.events()) {
    const bool a_admits = a.filter->admits(event.selector);
    if (!event.fixed_only && a_admits != b.filter->admits(event.selector)) {
      found.named.push_back({event.name, range_of(event.selector), a_admits});
    }
  }
  found.unnamed = unnamed_differences(*a.filter, *b.filter, named_selectors(catalogue));
  for (unsigned k = 0; k < catalogue.fixed_counters(); ++k) {
    const bool a_admits = a.filter->admits_fixed(k);
    if (a_admits != b.filter->admits_fixed(k)) {
      found.fixed.push_back({k, fixed_name(catalogue, k), a_admits});
    }
  }
  return found;
}

Result<Output> run_diff(const DiffOptions& options) {
  const auto a_file = policy::read_filter_file(options.a);
  if (!a_file) return tl::unexpected(a_file.error());
  const auto b_file = policy::read_filter_file(options.b);
  if (!b_file) return tl::unexpected(b_file.error());
  if (are_ranges(*a_file, *b_file, options.cpu)) {
    return diff_ranges(*a_file, *b_file, options.cpu, options.json);
  }
  const auto catalogue = common_catalogue(*a_file, *b_file, options.cpu);
  if (!catalogue) return tl::unexpected(catalogue.error());
  const auto a = load_filter(*a_file, **catalogue);
  if (!a) return tl::unexpected(a.error());
  const auto b = load_filter(*b_file, **catalogue);
  if (!b) return tl::unexpected(b.error());

  const Differences found = differences(*a, *b);
  Output output{.text = "", .remarks = "", .status = found.any() ? kStatusNo : 0};
  if (options.json) {
    output.text = print(json(found, *a, *b));
  } else if (found.any()) {
    output.text = difference_headings("code", a->name, b->name) + table(found);
  }
  return output;
}

}  // namespace vpmu::cli::filter
