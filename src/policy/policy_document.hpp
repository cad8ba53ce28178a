// SPDX-License-Identifier: MIT
//
// A policy's file as it is written: values of the right kind with their places, and nothing that
// has to do with CPUs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/place.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

struct Written {
  std::string text;
  Place place;
  std::optional<std::int64_t> number;  ///< instead of `text`, in the table `fixed` only
};

struct PolicyDocument {
  std::string file;  ///< as errors call it
  std::optional<Written> cpu;
  std::optional<Written> default_action;  ///< `default`
  std::optional<Written> tier;
  std::vector<Written> allow, deny;
  std::vector<Written> fixed_allow, fixed_deny;

  /// "FILE:3:10: ..."
  [[nodiscard]] std::string at(Place place, std::string_view message) const;
};

/// Errors are of TOML, of keys and of kinds of values.
Result<PolicyDocument> parse_policy_document(std::string_view text, std::string_view file);

}  // namespace vpmu::policy
