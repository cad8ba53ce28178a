// SPDX-License-Identifier: MIT
//
// From the events that may be counted to the fewest entries of a masked filter that say just that.
//
// Event selects are independent of each other: for each, the wanted unit masks are a union of cubes
// (mask, match) minus a union of cubes, as few as possible together. That is searched for
// exhaustively within a budget of steps, so that the result is the same everywhere; where the
// budget ends first the row says that it is the best found. Of ALLOW and DENY the one with fewer
// entries is taken, ALLOW if they are equal.
//
// The result is decided for every selector there is (2^16 on Intel, 2^20 on AMD) and compared with
// what was wanted before it is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/selector_set.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/x86/filter_image.hpp"

namespace vpmu::policy {

struct CompileOptions {
  /// Whichever is shorter if there is none.
  std::optional<virt::x86::FilterAction> action;
  /// Steps of the search that one event select may take.
  std::uint64_t budget = 200'000;
};

/// The entries of one event select: all say `event`, includes come first.
struct CompiledRow {
  std::uint16_t event = 0;
  std::vector<virt::x86::MaskedEvent> entries;
  bool minimal = true;  ///< proven: no fewer will do. Otherwise the fewest that were found
};

struct CompiledFilter {
  virt::x86::FilterAction action = virt::x86::FilterAction::kAllow;
  std::uint32_t fixed_bitmap = 0;
  std::vector<CompiledRow> rows;  ///< that have entries, by event select

  [[nodiscard]] std::size_t entries() const;
  /// All rows are. Of the action that was taken.
  [[nodiscard]] bool minimal() const;
};

/// Fewest cubes that include `wanted` and nothing else, with excludes. Exposed for tests, and for
/// who wants to know what one event select costs.
CompiledRow minimise(std::uint16_t event, const UnitMaskSet& wanted, std::uint64_t budget);

/// `fixed_allowed`: bit k: fixed counter k may count, for k below `fixed_counters`; what lies
/// beyond them is denied.
CompiledFilter compile(const SelectorSet& allowed, std::uint32_t fixed_allowed,
                       unsigned fixed_counters, const CompileOptions& options = {});

/// As a masked filter for KVM. If it has too many entries the error says which event selects take
/// the most, and how many entries would be saved by allowing or denying all their unit masks.
Result<virt::x86::FilterImage> to_image(const CompiledFilter& filter);

}  // namespace vpmu::policy
