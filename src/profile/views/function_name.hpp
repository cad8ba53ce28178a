// SPDX-License-Identifier: MIT
//
// Names of functions where there is little room.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vpmu::profile {

/// "f(int, char) const [clone .cold]" -> "f". "operator()" and "(anonymous namespace)::f" keep
/// their brackets.
std::string_view without_arguments(std::string_view name);

/// At most so many columns: if the name does not fit, its arguments go, then its beginning, since
/// what it is in is usually the same as of its neighbours.
std::string short_function_name(std::string_view name, std::size_t columns);

}  // namespace vpmu::profile
