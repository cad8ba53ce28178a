// SPDX-License-Identifier: MIT
//
// `vpmu filter diff`: every event about which two filters say something else.
#pragma once

#include <string>
#include <vector>

#include "cli/filter/event_text.hpp"
#include "cli/filter/loaded_filter.hpp"
#include "cli/filter/output.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli::filter {

struct DiffOptions {
  std::string a;
  std::string b;
  std::string cpu;  ///< name, or empty
  bool json = false;
};

/// The other one says the opposite.
struct NamedDifference {
  std::string name;
  SelectorRange codes;
  bool a_admits = false;
};
/// All unit masks of the event selects from `codes.event` to `last_event`, if they are more than
/// one. Some of the codes may have names, of which the named differences have more.
struct UnnamedDifference {
  SelectorRange codes;
  std::uint16_t last_event = 0;
  bool a_admits = false;
  friend bool operator==(const UnnamedDifference&, const UnnamedDifference&) = default;
};
struct FixedDifference {
  unsigned counter = 0;
  std::string name;
  bool a_admits = false;
};

struct Differences {
  std::vector<NamedDifference> named;      ///< by name
  std::vector<UnnamedDifference> unnamed;  ///< by code
  std::vector<FixedDifference> fixed;

  [[nodiscard]] bool any() const { return !named.empty() || !unnamed.empty() || !fixed.empty(); }
};

/// Of filters for guests of the same vendor; names are the catalogue's of `a`.
Differences differences(const LoadedFilter& a, const LoadedFilter& b);

/// Status 1 if they differ.
Result<Output> run_diff(const DiffOptions& options);

}  // namespace vpmu::cli::filter
