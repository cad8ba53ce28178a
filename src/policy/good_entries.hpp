// SPDX-License-Identifier: MIT
//
// Few entries, found quickly: where the search for the fewest starts from.
#pragma once

#include <cstdint>

#include "policy/cover.hpp"
#include "policy/entry_search.hpp"

namespace vpmu::policy {

/// A way to say `wanted_points`, improved in so many rounds. The same for the same arguments.
Entries good_entries(const Cover& wanted, const PointSet& wanted_points, const Cover& unwanted,
                     std::uint64_t rounds);

}  // namespace vpmu::policy
