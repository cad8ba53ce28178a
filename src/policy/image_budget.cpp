// SPDX-License-Identifier: MIT
//
// Entries into an image; and if they are too many, where they go.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/compiler.hpp"

namespace vpmu::policy {

namespace {
using virt::x86::FilterAction;
using virt::x86::FilterImage;
using virt::x86::MaskedEvent;

/// So many event selects are named in an error.
constexpr std::size_t kMostNamed = 5;

/// The costliest first.
std::vector<const CompiledRow*> by_cost(const CompiledFilter& filter) {
  std::vector<const CompiledRow*> rows;
  for (const CompiledRow& row : filter.rows) rows.push_back(&row);
  std::ranges::stable_sort(rows, std::ranges::greater{},
                           [](const CompiledRow* row) { return row->entries.size(); });
  return rows;
}

/// With a row of `left` entries instead of each: how many of the costliest it takes until all fit.
/// None: not even all.
std::optional<std::size_t> rows_to_relax(const std::vector<const CompiledRow*>& costliest,
                                         std::size_t entries, std::size_t left) {
  for (std::size_t n = 0;; ++n) {
    if (entries <= FilterImage::kMaxEntries) return n;
    if (n == costliest.size()) return std::nullopt;
    entries -= costliest[n]->entries.size() - left;
  }
}

/// Entries that remain of an event select of which all unit masks are allowed.
std::size_t if_allowed(FilterAction action) {
  return action == FilterAction::kAllow ? 1 : 0;
}
std::size_t if_denied(FilterAction action) {
  return 1 - if_allowed(action);
}

/// Rows that take as many entries each.
std::string cost(FilterAction action, std::span<const CompiledRow* const> rows) {
  std::vector<std::string> events;
  for (const CompiledRow* row : rows) events.push_back(fmt::format("{:#04x}", row->event));
  const std::size_t entries = rows.front()->entries.size();
  return fmt::format("{} {} ({} entries{}; allowing all unit masks saves {}, denying them {})",
                     rows.size() == 1 ? "event select" : "event selects", fmt::join(events, ", "),
                     entries, rows.size() == 1 ? "" : " each", entries - if_allowed(action),
                     entries - if_denied(action));
}

std::string remedy(const CompiledFilter& filter, const std::vector<const CompiledRow*>& costliest) {
  const std::size_t entries = filter.entries();
  const auto allowed = rows_to_relax(costliest, entries, if_allowed(filter.action));
  const auto denied = rows_to_relax(costliest, entries, if_denied(filter.action));
  std::vector<std::string> ways;
  if (allowed) ways.push_back(fmt::format("the {} costliest are allowed whole", *allowed));
  if (denied) ways.push_back(fmt::format("the {} costliest are denied whole", *denied));
  return fmt::format("it fits once {}", fmt::join(ways, " or "));
}

Error too_many(const CompiledFilter& filter) {
  const auto costliest = by_cost(filter);
  const std::span named{costliest.data(), std::min(costliest.size(), kMostNamed)};
  std::vector<std::string> costs;
  for (std::size_t begin = 0, end = 0; begin < named.size(); begin = end) {
    while (end < named.size() && named[end]->entries.size() == named[begin]->entries.size()) ++end;
    costs.push_back(cost(filter.action, named.subspan(begin, end - begin)));
  }
  return {
      fmt::format("the filter takes {} entries, and {} is the most there can be; the "
                  "costliest: {}; {}",
                  filter.entries(), FilterImage::kMaxEntries, fmt::join(costs, ", "),
                  remedy(filter, costliest))};
}
}  // namespace

Result<FilterImage> to_image(const CompiledFilter& filter) {
  if (filter.entries() > FilterImage::kMaxEntries) {
    return tl::unexpected<Error>(too_many(filter));
  }
  FilterImage image;
  image.action = static_cast<std::uint32_t>(filter.action);
  image.fixed_bitmap = filter.fixed_bitmap;
  image.flags = FilterImage::kMaskedEvents;
  for (const CompiledRow& row : filter.rows) {
    for (const MaskedEvent& entry : row.entries) {
      image.entries[image.count++] = encode_entry(entry).raw;
    }
  }
  return image;
}

}  // namespace vpmu::policy
