// SPDX-License-Identifier: MIT
//
// Which branches a host event records, as people write it: perf's names (`perf record -j`),
// separated by commas.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// EventAttr::branch_type. As in perf, privileges alone mean any branches of theirs.
Result<std::uint32_t> parse_branch_filter(std::string_view text);
/// The names, as they are parsed; empty for 0.
std::string branch_filter_text(std::uint32_t branch_type);

}  // namespace vpmu::cli
