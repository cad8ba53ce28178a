// SPDX-License-Identifier: MIT
//
// The script in a flame graph: flame_graph.js, as it lies beside this file.
#pragma once

#include <string_view>

namespace vpmu::profile {

extern const std::string_view kFlameGraphScript;

}  // namespace vpmu::profile
