// SPDX-License-Identifier: MIT
//
// Text for a parser that is not to see anything but ASCII: toml++ 3.3 is undefined on letters from
// U+00A0 on outside strings and comments.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "policy/place.hpp"

namespace vpmu::policy {

/// The same text with '~' for every character that is not ASCII, and without a byte order mark.
/// What is not UTF-8 is an error, at that place.
tl::expected<std::string, Place> ascii_only(std::string_view text);

}  // namespace vpmu::policy
