// SPDX-License-Identifier: MIT
//
// What people write as TOML: parsed by toml++, and the words for messages about what is in it. Only
// for sources of those who read such files: toml++ is long.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <toml++/toml.h>

#include "policy/place.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::policy {

/// Many times what the longest file needs.
inline constexpr std::size_t kLargestToml = std::size_t{1} << 20;

/// `what` it is ("a policy") is for messages. Strings have '~' for all that is not ASCII
/// (ascii_only.hpp says why).
Result<toml::table> parse_toml(std::string_view text, std::string_view file, std::string_view what);

Place place_of(const toml::source_region& source);
/// What is wrong with a key that nobody reads: the keys like it are named.
std::string unknown_key(std::string_view key, std::span<const std::string_view> known);
/// "a list"
std::string_view kind_of(const toml::node& node);

}  // namespace vpmu::policy
