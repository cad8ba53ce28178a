// SPDX-License-Identifier: MIT
//
// Which event of a profile a user means.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "profile/perf_data/reader.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::profile {

/// Its place in `info.events`: by its whole name, or by what is before its modifiers if only one
/// has that; empty: the first. Errors name `file` and what there is.
Result<std::uint32_t> choose_event(const perf_data::FileInfo& info, std::string_view wanted,
                                   const std::string& file);

}  // namespace vpmu::profile
