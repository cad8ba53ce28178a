// SPDX-License-Identifier: MIT
#include "policy/policy.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/event_pattern.hpp"
#include "policy/nearest_names.hpp"
#include "policy/policy_document.hpp"
#include "policy/tiers.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::EventSelector;
using silicon::x86::kNoFixedCounter;

/// Events, whatever they are counted on: what only a fixed counter counts is in it by its
/// pseudo-encoding.
struct EventSet {
  explicit EventSet(silicon::x86::Vendor vendor) : general{vendor}, all{vendor} {}

  SelectorSet general;  ///< on general-purpose counters
  SelectorSet all;      ///< `general` and pseudo-encodings
};

/// One line of a policy's.
struct Line {
  const Written* written;
  std::vector<EventSelector> events;  ///< with pseudo-encodings
};

std::vector<EventSelector> events_of(const MeantEvents& meant) {
  std::vector<EventSelector> events;
  for (std::size_t event = 0; event < meant.selectors.events(); ++event) {
    const UnitMaskSet& row = meant.selectors.row(event);
    if (row.none()) continue;
    for (std::size_t mask = 0; mask < row.size(); ++mask) {
      if (row.test(mask)) {
        events.push_back({static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(mask)});
      }
    }
  }
  for (const NamedEvent* event : meant.named) {
    if (event->fixed_only) events.push_back(event->selector);
  }
  return events;
}

class PolicyBuilder {
 public:
  PolicyBuilder(const PolicyDocument& document, const EventCatalogue& catalogue)
      : document_{document},
        catalogue_{catalogue},
        named_{catalogue.vendor()},
        exceptions_{catalogue.vendor()},
        policy_{.catalogue = &catalogue,
                .tier = {},
                .allowed = SelectorSet{catalogue.vendor()},
                .warnings = {}} {}

  Result<Policy> build();

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(const Written& at, std::string_view message) const {
    return fail(document_.at(at.place, message));
  }
  void warn(const Written& at, std::string_view message) {
    warnings_.emplace_back(at.place, document_.at(at.place, message));
  }

  Result<void> read_default();
  Result<void> read_tier();
  Result<std::vector<Line>> read_lines(std::span<const Written> list, EventSet& to) const;
  void warn_of_lines(std::span<const Line> named, std::span<const Line> exceptions);
  void decide();
  [[nodiscard]] std::uint32_t counters_of(const SelectorSet& events) const;
  Result<std::uint32_t> read_counter(const Written& written) const;
  Result<std::uint32_t> read_counters(std::span<const Written> list) const;
  /// Gives the counters that the table names.
  Result<std::uint32_t> read_fixed();
  void warn_of_fixed(std::span<const Line> lines, bool allow, std::uint32_t decided);

  const PolicyDocument& document_;
  const EventCatalogue& catalogue_;
  EventSet named_;       ///< by the tier and the list that says the opposite of the default
  EventSet exceptions_;  ///< by the other list
  std::vector<std::pair<Place, std::string>> warnings_;
  Policy policy_;
};

Result<void> PolicyBuilder::read_default() {
  if (!document_.default_action) return {};
  const Written& written = *document_.default_action;
  if (written.text != "allow" && written.text != "deny") {
    return wrong(written, fmt::format("default {} is not known; give \"allow\" or \"deny\"",
                                      in_quotes(written.text)));
  }
  policy_.allows_by_default = written.text == "allow";
  return {};
}

Result<void> PolicyBuilder::read_tier() {
  if (!document_.tier) return {};
  const Written& written = *document_.tier;
  const auto tier = find_tier(written.text);
  if (!tier) {
    std::vector<std::string_view> known;
    for (const Tier one : kTiers) known.emplace_back(name(one));
    return wrong(written, fmt::format("tier {} is not known; give one of: {}",
                                      in_quotes(written.text), fmt::join(known, ", ")));
  }
  if (policy_.allows_by_default) {
    return wrong(written,
                 "a tier allows events, and default = \"allow\" allows all; write default = "
                 "\"deny\" or leave out the tier");
  }
  const auto table = TierTable::of(catalogue_);
  if (!table) return wrong(written, table.error().message);
  policy_.tier = written.text;
  named_.general |= (*table)->selectors(*tier);
  named_.all |= (*table)->selectors(*tier);
  for (const NamedEvent& event : catalogue_.events()) {
    if ((*table)->tier_of(event) <= tier && (*table)->tier_of(event))
      named_.all.insert(event.selector);
  }
  return {};
}

Result<std::vector<Line>> PolicyBuilder::read_lines(std::span<const Written> list,
                                                    EventSet& to) const {
  std::vector<Line> lines;
  std::set<std::string_view> seen;
  for (const Written& written : list) {
    if (!seen.insert(written.text).second) continue;
    const auto meant = parse_event_pattern(written.text, catalogue_);
    if (!meant) return wrong(written, meant.error().message);
    to.general |= meant->selectors;
    lines.push_back({&written, events_of(*meant)});
    for (const EventSelector event : lines.back().events) to.all.insert(event);
  }
  return lines;
}

void PolicyBuilder::warn_of_lines(std::span<const Line> named, std::span<const Line> exceptions) {
  const char* const verb = policy_.allows_by_default ? "denied" : "allowed";
  const auto in = [](const SelectorSet& set) {
    return [&set](EventSelector event) { return set.contains(event); };
  };
  for (const Line& line : named) {
    if (std::ranges::all_of(line.events, in(exceptions_.all))) {
      warn(*line.written,
           fmt::format("{} does nothing: all of it is excepted", in_quotes(line.written->text)));
    }
  }
  for (const Line& line : exceptions) {
    if (std::ranges::none_of(line.events, in(named_.all))) {
      warn(*line.written, fmt::format("{} does nothing: none of it is {} elsewhere",
                                      in_quotes(line.written->text), verb));
    }
  }
}

std::uint32_t PolicyBuilder::counters_of(const SelectorSet& events) const {
  std::uint32_t counters = 0;
  for (const NamedEvent& event : catalogue_.events()) {
    if (event.fixed != kNoFixedCounter && events.contains(event.selector))
      counters |= 1u << event.fixed;
  }
  return counters;
}

void PolicyBuilder::decide() {
  named_.general -= exceptions_.general;
  named_.all -= exceptions_.all;
  policy_.allowed = named_.general;
  policy_.fixed_allowed = counters_of(named_.all);
  if (policy_.allows_by_default) {
    policy_.allowed.invert();
    policy_.fixed_allowed ^= (1u << catalogue_.fixed_counters()) - 1;
  }
}

Result<std::uint32_t> PolicyBuilder::read_counter(const Written& written) const {
  const unsigned counters = catalogue_.fixed_counters();
  if (counters == 0) {
    return wrong(written,
                 fmt::format("{} has no fixed counters; leave out [fixed]", catalogue_.pmu().name));
  }
  if (written.number) {
    if (*written.number >= 0 && *written.number < static_cast<std::int64_t>(counters))
      return 1u << *written.number;
    return wrong(written, fmt::format("there is no fixed counter {}: {} has 0 to {}",
                                      *written.number, catalogue_.pmu().name, counters - 1));
  }
  const auto meant = parse_event_pattern(written.text, catalogue_);
  if (!meant) return wrong(written, meant.error().message);
  if (meant->fixed == 0) {
    return wrong(written, fmt::format("no fixed counter counts {}; give a number from 0 to {}",
                                      in_quotes(written.text), counters - 1));
  }
  return meant->fixed;
}

Result<std::uint32_t> PolicyBuilder::read_counters(std::span<const Written> list) const {
  std::uint32_t counters = 0;
  for (const Written& written : list) {
    auto more = read_counter(written);
    if (!more) return more;
    counters |= *more;
  }
  return counters;
}

Result<std::uint32_t> PolicyBuilder::read_fixed() {
  auto allow = read_counters(document_.fixed_allow);
  if (!allow) return allow;
  std::uint32_t named = *allow;
  for (const Written& written : document_.fixed_deny) {
    auto deny = read_counter(written);
    if (!deny) return deny;
    named |= *deny;
    if ((*deny & *allow) != 0)
      return wrong(written, "this fixed counter is allowed above; leave it out of one of them");
    policy_.fixed_allowed &= ~*deny;
  }
  policy_.fixed_allowed |= *allow;
  return named;
}

/// Of exceptions that name what a fixed counter counts, and yet do not decide that counter since it
/// goes by another name of the same event. Not of counters that are decided otherwise.
void PolicyBuilder::warn_of_fixed(std::span<const Line> lines, bool allow, std::uint32_t decided) {
  for (const Line& line : lines) {
    for (const EventSelector event : line.events) {
      const std::int8_t fixed = catalogue_.fixed_of(event);
      if (fixed == kNoFixedCounter) continue;
      const bool allowed = (policy_.fixed_allowed >> fixed & 1) != 0;
      if (allowed == allow || (decided >> fixed & 1) != 0) continue;
      warn(*line.written,
           fmt::format("fixed counter {}, which counts {}, stays {} as another name of its event "
                       "is; to change it write [fixed] {} = [{}]",
                       fixed, in_quotes(line.written->text), allowed ? "allowed" : "denied",
                       allow ? "allow" : "deny", fixed));
      break;
    }
  }
}

Result<Policy> PolicyBuilder::build() {
  if (auto read = read_default(); !read) return tl::unexpected(read.error());
  if (auto read = read_tier(); !read) return tl::unexpected(read.error());
  const bool denies = policy_.allows_by_default;  // with what it names
  const auto named = read_lines(denies ? document_.deny : document_.allow, named_);
  if (!named) return tl::unexpected(named.error());
  const auto exceptions = read_lines(denies ? document_.allow : document_.deny, exceptions_);
  if (!exceptions) return tl::unexpected(exceptions.error());
  warn_of_lines(*named, *exceptions);
  decide();
  const auto decided = read_fixed();
  if (!decided) return tl::unexpected(decided.error());
  warn_of_fixed(*exceptions, denies, *decided);
  std::ranges::stable_sort(warnings_, {}, [](const auto& warning) {
    return std::pair{warning.first.line, warning.first.column};
  });
  for (auto& [place, warning] : warnings_) policy_.warnings.push_back(std::move(warning));
  return std::move(policy_);
}
}  // namespace

Result<Policy> parse_policy(std::string_view text, std::string_view file) {
  const auto document = parse_policy_document(text, file);
  if (!document) return tl::unexpected(document.error());
  if (!document->cpu) {
    return fail(document->at({},
                             "does not say for which CPU it is; write cpu = "
                             "\"icelake-server\", for example"));
  }
  const auto catalogue = EventCatalogue::of(document->cpu->text);
  if (!catalogue) return fail(document->at(document->cpu->place, catalogue.error().message));
  return PolicyBuilder{*document, **catalogue}.build();
}

}  // namespace vpmu::policy
