// SPDX-License-Identifier: MIT
//
// Text in columns of a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vpmu::profile {

/// How many columns UTF-8 text takes: East Asian wide characters take two, marks above letters
/// none.
std::size_t columns_of(std::string_view text);
/// At most so many columns of it; what was cut ends in "...".
std::string cut(std::string_view text, std::size_t columns);
/// Cut, and with blanks behind it up to `columns`.
std::string padded(std::string_view text, std::size_t columns);

/// At most six characters: up to 99,999 all digits, then four of them, as "123.4M".
std::string short_number(std::uint64_t number);

}  // namespace vpmu::profile
