// SPDX-License-Identifier: MIT
//
// Filters as JSON: docs/abi/event-filter.md. What it says need not be a valid filter, but all of it
// can be put into the ioctl's structure.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::policy {

/// Header and entries. An error is the place and what is wrong, without the name of the file.
Result<std::vector<std::byte>> parse_filter_json(std::string_view text);

}  // namespace vpmu::policy
