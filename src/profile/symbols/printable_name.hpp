// SPDX-License-Identifier: MIT
//
// Names from files that nobody vouches for: of symbols, functions, source files.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vpmu::profile {

inline constexpr std::size_t kLongestName = 1024;

/// The name with everything that acts on a terminal instead of being shown as \xNN: control
/// characters, marks that change the direction of writing, what is no UTF-8. A name of more than
/// kLongestName bytes is cut and ends in "...".
std::string printable_name(std::string_view name);

/// Bytes of the UTF-8 letter that `text`, which is not empty, begins with, if it is one that only
/// shows itself; or 0.
std::size_t letter_bytes(std::string_view text);

}  // namespace vpmu::profile
