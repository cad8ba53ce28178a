// SPDX-License-Identifier: MIT
#include "policy/tiers.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "policy/event_pattern.hpp"
#include "policy/tier_data.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::kNoFixedCounter;
using silicon::x86::Vendor;

std::size_t index_of(Tier tier) {
  return static_cast<std::size_t>(tier);
}

/// The named events that a rule's pattern means. A name that this CPU has not means none: rules are
/// for several.
Result<std::vector<const NamedEvent*>> named_by(const std::string& pattern,
                                                const EventCatalogue& catalogue) {
  if (pattern.find('/') == std::string::npos) return catalogue.match(pattern);
  const auto meant = parse_event_pattern(pattern, catalogue);
  if (!meant) return tl::unexpected(meant.error());
  std::vector<const NamedEvent*> events;
  for (const NamedEvent& event : catalogue.events()) {
    if (meant->selectors.contains(event.selector)) events.push_back(&event);
  }
  return events;
}

/// Adds all unit masks that put together some of the row's.
void close_under_union(UnitMaskSet& row) {
  // By one of them after the other: what has it, with what had none of the later ones.
  const UnitMaskSet given = row;
  for (std::size_t mask = 1; mask < given.size(); ++mask) {
    if (!given.test(mask)) continue;
    for (std::size_t other = 1; other < row.size(); ++other) {
      if (row.test(other)) row.set(other | mask);
    }
  }
}
}  // namespace

const char* name(Tier tier) {
  constexpr const char* kNames[] = {"architectural", "standard", "enhanced"};
  static_assert(std::size(kNames) == std::size(kTiers));
  return kNames[index_of(tier)];
}

std::optional<Tier> find_tier(std::string_view wanted) {
  for (const Tier tier : kTiers) {
    if (wanted == name(tier)) return tier;
  }
  return {};
}

/// Decides every event by the first rule that names it, and puts the tiers together.
class TierTableBuilder {
 public:
  static Result<std::unique_ptr<const TierTable>> build(const EventCatalogue& catalogue);

 private:
  explicit TierTableBuilder(const EventCatalogue& catalogue) {
    table_->catalogue_ = &catalogue;
    table_->rows_.resize(catalogue.events().size());
    table_->selectors_.assign(std::size(kTiers), SelectorSet{catalogue.vendor()});
    table_->fixed_.assign(std::size(kTiers), 0);
    decided_.resize(catalogue.events().size());
  }

  Result<void> apply(const TierRule& rule);
  void collect(Tier tier);
  void add_unions(Tier tier);

  std::unique_ptr<TierTable> table_ = std::make_unique<TierTable>();
  std::vector<bool> decided_;
};

Result<void> TierTableBuilder::apply(const TierRule& rule) {
  const EventCatalogue& catalogue = *table_->catalogue_;
  for (const std::string& pattern : rule.events) {
    const auto events = named_by(pattern, catalogue);
    if (!events) return tl::unexpected(events.error());
    for (const NamedEvent* event : *events) {
      const auto row = static_cast<std::size_t>(event - catalogue.events().data());
      if (decided_[row]) continue;
      decided_[row] = true;
      table_->rows_[row] = {rule.tier, rule.reason};
    }
  }
  return {};
}

void TierTableBuilder::collect(Tier tier) {
  const std::vector<NamedEvent>& events = table_->catalogue_->events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    const NamedEvent& event = events[i];
    if (!table_->rows_[i].tier || *table_->rows_[i].tier > tier) continue;
    if (!event.fixed_only) table_->selectors_[index_of(tier)].insert(event.selector);
    if (event.fixed != kNoFixedCounter) table_->fixed_[index_of(tier)] |= 1u << event.fixed;
  }
}

void TierTableBuilder::add_unions(Tier tier) {
  SelectorSet& selectors = table_->selectors_[index_of(tier)];
  for (std::size_t event = 0; event < selectors.events(); ++event) {
    if (selectors.row(event).any()) close_under_union(selectors.row(event));
  }
  // What has a name of its own is what the rules say.
  const std::vector<NamedEvent>& events = table_->catalogue_->events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!table_->rows_[i].tier || *table_->rows_[i].tier > tier)
      selectors.erase(events[i].selector);
  }
}

Result<std::unique_ptr<const TierTable>> TierTableBuilder::build(const EventCatalogue& catalogue) {
  const auto rules = tier_rules(catalogue.pmu().name);
  if (!rules) return tl::unexpected(rules.error());
  TierTableBuilder builder{catalogue};
  for (const TierRule& rule : *rules) {
    if (auto applied = builder.apply(rule); !applied) return tl::unexpected(applied.error());
  }
  const auto undecided = std::ranges::find(builder.decided_, false);
  if (undecided != builder.decided_.end()) {
    const auto row = static_cast<std::size_t>(undecided - builder.decided_.begin());
    return fail(
        fmt::format("the tiers for {} do not say in which {} is; give a policy without tier",
                    catalogue.pmu().name, catalogue.events()[row].name));
  }
  for (const Tier tier : kTiers) {
    builder.collect(tier);
    if (catalogue.vendor() == Vendor::kAmd) builder.add_unions(tier);
  }
  return std::move(builder.table_);
}

Result<const TierTable*> TierTable::of(const EventCatalogue& catalogue) {
  static std::map<std::string, std::unique_ptr<const TierTable>, std::less<>> made;
  const auto found = made.find(catalogue.pmu().name);
  if (found != made.end()) return found->second.get();
  auto table = TierTableBuilder::build(catalogue);
  if (!table) return tl::unexpected(table.error());
  return made.emplace(catalogue.pmu().name, std::move(*table)).first->second.get();
}

std::optional<Tier> TierTable::tier_of(const NamedEvent& event) const {
  return rows_[static_cast<std::size_t>(&event - catalogue_->events().data())].tier;
}

std::string_view TierTable::reason(const NamedEvent& event) const {
  return rows_[static_cast<std::size_t>(&event - catalogue_->events().data())].reason;
}

const SelectorSet& TierTable::selectors(Tier tier) const {
  return selectors_[index_of(tier)];
}

std::uint32_t TierTable::fixed(Tier tier) const {
  return fixed_[index_of(tier)];
}

}  // namespace vpmu::policy
