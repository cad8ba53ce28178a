// SPDX-License-Identifier: MIT
//
// The hottest taken branches of a profile with branch stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profile/views/profile.hpp"

namespace vpmu::profile {

struct BranchRow {
  std::string from, to;  ///< "symbol+0x12", or an address
  std::uint64_t taken = 0;
  std::optional<double> mispredicted;  ///< percent of those that say; none: none says
  std::optional<double> cycles;        ///< mean since the branch before; none: none says
};

struct BranchTable {
  std::uint32_t event = 0;
  std::uint64_t taken = 0;  ///< all of them
  std::vector<BranchRow> rows;
  std::size_t hidden = 0;
};

/// "symbol+0x12", or the address.
std::string place_name(const Profile& profile, const Frame& frame);

/// The most taken first; at most `limit`, each at least `percent_limit` of all.
BranchTable make_branch_table(const Profile& profile, std::uint32_t event,
                              std::optional<std::size_t> limit, double percent_limit);

}  // namespace vpmu::profile
