// SPDX-License-Identifier: MIT
//
// The tiers: named sets of events, as clouds sell them. Each CPU's are data, tiers/*.toml, which
// are built in. A tier allows what its file lists; every event of the catalogue that it leaves out
// is left out for a reason that the file states.
//
//   architectural  what Intel's CPUID.0AH enumerates, or AMD documents for every family
//   standard       also where the guest's own code spends its time: its branches, its loads, its
//                  stores, its own caches
//   enhanced       also what shows shared parts of the machine
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/event_catalogue.hpp"
#include "policy/selector_set.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

/// From the smallest; each contains the ones before.
enum class Tier : std::uint8_t { kArchitectural, kStandard, kEnhanced };
inline constexpr Tier kTiers[] = {Tier::kArchitectural, Tier::kStandard, Tier::kEnhanced};
/// As policies spell it. Never null.
const char* name(Tier tier);
std::optional<Tier> find_tier(std::string_view name);

class TierTable {
 public:
  /// Of a CPU; an error if there is no data for it, which says for which there is.
  static Result<const TierTable*> of(const EventCatalogue& catalogue);

  /// The smallest tier that has the event; none if no tier does.
  [[nodiscard]] std::optional<Tier> tier_of(const NamedEvent& event) const;
  /// Why no smaller tier has it, and why none at all does. Of an architectural event what to beware
  /// of, or nothing.
  [[nodiscard]] std::string_view reason(const NamedEvent& event) const;

  /// On general-purpose counters. On AMD, where unit masks are sets of bits, also the unit masks
  /// that put together several of the tier's: they count the sum of what it has anyway.
  [[nodiscard]] const SelectorSet& selectors(Tier tier) const;
  [[nodiscard]] std::uint32_t fixed(Tier tier) const;  ///< bit k: fixed counter k

 private:
  friend class TierTableBuilder;
  struct Row {
    std::optional<Tier> tier;
    std::string reason;
  };
  const EventCatalogue* catalogue_ = nullptr;
  std::vector<Row> rows_;  ///< as catalogue_->events()
  std::vector<SelectorSet> selectors_;
  std::vector<std::uint32_t> fixed_;
};

}  // namespace vpmu::policy
