// SPDX-License-Identifier: MIT
//
// The files of tiers/, which are built in: rules that say which tier an event is in.
// tiers/README.md is their documentation.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tiers.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

struct TierFile {
  std::string_view name;  ///< "intel.toml"
  std::string_view text;
};
/// All of them, by name. Generated from tiers/*.toml.
std::span<const TierFile> tier_files();

struct TierRule {
  std::optional<Tier> tier;  ///< none: no tier has these events
  std::vector<std::string> events;
  std::string reason;
};

/// The rules for a PMU, of which the first that names an event decides. An error names the PMUs
/// for which there are rules, or says where a file is wrong.
Result<std::vector<TierRule>> tier_rules(std::string_view pmu);

/// The PMUs that have rules, sorted.
std::vector<std::string> pmus_with_tiers();

}  // namespace vpmu::policy
