// SPDX-License-Identifier: MIT
//
// A user's text, as it is shown in messages about it.
#pragma once

#include <string>
#include <string_view>

namespace vpmu::policy {

/// One line, and not too much of it; what is no printable ASCII or UTF-8 is '?'.
std::string one_line(std::string_view text);
/// The same in single quotes.
std::string in_quotes(std::string_view text);

}  // namespace vpmu::policy
