// SPDX-License-Identifier: MIT
//
// `-e LIST`: events with commas between them, as perf takes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// The events of all values of -e in their order. Commas between slashes belong to the event:
/// "cycles:u,cpu/event=0xc4,umask=1/" are two. An error names the list and the remedy.
Result<std::vector<std::string>> split_event_lists(const std::vector<std::string>& lists);

}  // namespace vpmu::cli
