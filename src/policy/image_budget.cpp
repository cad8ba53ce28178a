// SPDX-License-Identifier: MIT
//
// Entries into an image; and if they are too many, where they go.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

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

/// How many of the costliest rows must become one entry each until all fit; none if that is not
/// enough.
std::optional<std::size_t> rows_to_relax(const std::vector<const CompiledRow*>& costliest,
                                         std::size_t entries) {
  for (std::size_t n = 0; n < costliest.size(); ++n) {
    if (entries <= FilterImage::kMaxEntries) return n;
    entries -= costliest[n]->entries.size() - 1;
  }
  if (entries <= FilterImage::kMaxEntries) return costliest.size();
  return std::nullopt;
}

std::string saving(const CompiledFilter& filter, const CompiledRow& row) {
  const std::size_t entries = row.entries.size();
  const bool allow = filter.action == FilterAction::kAllow;
  return fmt::format("{:#04x} takes {} (allowing all its unit masks saves {}, denying them {})",
                     row.event, entries, allow ? entries - 1 : entries,
                     allow ? entries : entries - 1);
}

Error too_many(const CompiledFilter& filter) {
  const std::size_t entries = filter.entries();
  const auto costliest = by_cost(filter);
  std::string message =
      fmt::format("the filter takes {} entries, and {} is the most there can be: ", entries,
                  FilterImage::kMaxEntries);
  for (std::size_t i = 0; i < costliest.size() && i < kMostNamed; ++i) {
    if (i != 0) message += ", ";
    message += (i == 0 ? "event select " : "") + saving(filter, *costliest[i]);
  }
  if (const auto relax = rows_to_relax(costliest, entries)) {
    message += fmt::format("; it fits once the {} costliest have all their unit masks {}", *relax,
                           filter.action == FilterAction::kAllow ? "allowed" : "denied");
  } else {
    message += "; it does not fit even with one entry for each event select: name fewer events";
  }
  return {std::move(message)};
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
