// SPDX-License-Identifier: MIT
//
// What a user may have meant who wrote a name that there is not.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace vpmu::policy {

/// At most `most` of the names, nearest first: those that begin as it was written, then by how
/// many letters must be added, removed or changed. Upper and lower case are the same.
std::vector<std::string_view> nearest_names(std::string_view wanted,
                                            std::vector<std::string_view> names,
                                            std::size_t most = 3);

}  // namespace vpmu::policy
