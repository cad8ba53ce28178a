// SPDX-License-Identifier: MIT
#include "policy/compiler.hpp"

#include <algorithm>
#include <unordered_map>

#include "vpmu/base/ensure.hpp"
#include "vpmu/virt/x86/event_filter.hpp"

namespace vpmu::policy {

namespace {
using silicon::x86::EventSelector;
using virt::x86::EventFilter;
using virt::x86::FilterAction;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

std::size_t rows_with_entries(const SelectorSet& wanted) {
  std::size_t rows = 0;
  for (std::size_t event = 0; event < wanted.events(); ++event) rows += wanted.row(event).any();
  return rows;
}

/// Many event selects have the same unit masks, and each set need be looked at once only.
class Rows {
 public:
  explicit Rows(std::uint64_t budget) : budget_{budget} {}

  CompiledRow row(std::uint16_t event, const UnitMaskSet& wanted) {
    const auto [known, added] = known_.try_emplace(wanted);
    if (added) known->second = minimise(event, wanted, budget_);
    CompiledRow row = known->second;
    row.event = event;
    for (MaskedEvent& entry : row.entries) entry.event = event;
    return row;
  }

  /// All rows of `wanted`. None: they have more than `most` entries.
  std::optional<std::vector<CompiledRow>> rows(const SelectorSet& wanted, std::size_t most) {
    std::vector<CompiledRow> rows;
    std::size_t at_least = rows_with_entries(wanted);
    for (std::size_t event = 0; event < wanted.events() && at_least <= most; ++event) {
      if (wanted.row(event).none()) continue;
      rows.push_back(row(static_cast<std::uint16_t>(event), wanted.row(event)));
      at_least += rows.back().entries.size() - 1;
    }
    if (at_least > most) return std::nullopt;
    return rows;
  }

 private:
  std::uint64_t budget_;
  std::unordered_map<UnitMaskSet, CompiledRow> known_;
};

/// The action with fewer entries. The one that looks shorter goes first, so that the other can be
/// given up as soon as it is longer.
CompiledFilter shorter(const SelectorSet& allowed, const SelectorSet& denied, Rows& rows) {
  const bool allow_first = rows_with_entries(allowed) <= rows_with_entries(denied);
  CompiledFilter first{allow_first ? FilterAction::kAllow : FilterAction::kDeny, 0,
                       *rows.rows(allow_first ? allowed : denied, SIZE_MAX)};
  const std::size_t entries = first.entries();
  if (allow_first && entries == 0) return first;
  auto other = rows.rows(allow_first ? denied : allowed, allow_first ? entries - 1 : entries);
  if (!other) return first;
  return {allow_first ? FilterAction::kDeny : FilterAction::kAllow, 0, std::move(*other)};
}

/// Bit k: fixed counter k, as the action wants it.
std::uint32_t fixed_bitmap(FilterAction action, std::uint32_t allowed, unsigned counters) {
  const std::uint32_t there =
      counters < 32 ? (std::uint32_t{1} << counters) - 1 : ~std::uint32_t{0};
  return action == FilterAction::kAllow ? allowed & there : ~(allowed & there);
}

UnitMaskSet covered_by(const CompiledRow& row) {
  UnitMaskSet included;
  UnitMaskSet excluded;
  for (std::size_t u = 0; u < included.size(); ++u) {
    for (const MaskedEvent& entry : row.entries) {
      if (entry.covers(static_cast<std::uint8_t>(u))) (entry.exclude ? excluded : included).set(u);
    }
  }
  return included & ~excluded;
}

/// What the entries say, if there are too many for an EventFilter.
SelectorSet admitted_by_rows(const CompiledFilter& filter, silicon::x86::Vendor vendor) {
  SelectorSet admitted{vendor};
  for (const CompiledRow& row : filter.rows) admitted.row(row.event) = covered_by(row);
  if (filter.action == FilterAction::kDeny) admitted.invert();
  return admitted;
}

SelectorSet admitted_by_filter(const FilterImage& image, silicon::x86::Vendor vendor) {
  const auto filter = EventFilter::create(image, vendor);
  ensure(filter.has_value());
  SelectorSet admitted{vendor};
  for (std::size_t event = 0; event < admitted.events(); ++event) {
    for (unsigned u = 0; u < 256; ++u) {
      const EventSelector selector{static_cast<std::uint16_t>(event), static_cast<std::uint8_t>(u)};
      if ((*filter)->admits(selector)) admitted.insert(selector);
    }
  }
  return admitted;
}
}  // namespace

std::size_t CompiledFilter::entries() const {
  std::size_t all = 0;
  for (const CompiledRow& row : rows) all += row.entries.size();
  return all;
}

bool CompiledFilter::minimal() const {
  return std::ranges::all_of(rows, &CompiledRow::minimal);
}

CompiledFilter compile(const SelectorSet& allowed, std::uint32_t fixed_allowed,
                       unsigned fixed_counters, const CompileOptions& options) {
  SelectorSet denied = allowed;
  denied.invert();
  Rows rows{options.budget};
  CompiledFilter filter;
  if (options.action) {
    const bool allow = *options.action == FilterAction::kAllow;
    filter = {*options.action, 0, *rows.rows(allow ? allowed : denied, SIZE_MAX)};
  } else {
    filter = shorter(allowed, denied, rows);
  }
  filter.fixed_bitmap = fixed_bitmap(filter.action, fixed_allowed, fixed_counters);

  const auto image = to_image(filter);
  ensure((image ? admitted_by_filter(*image, allowed.vendor())
                : admitted_by_rows(filter, allowed.vendor())) == allowed);
  return filter;
}

}  // namespace vpmu::policy
