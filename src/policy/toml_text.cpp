// SPDX-License-Identifier: MIT
#include "policy/toml_text.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/user_text.hpp"
#include "policy/ascii_only.hpp"
#include "policy/nearest_names.hpp"

namespace vpmu::policy {

std::string at(std::string_view file, Place place, std::string_view message) {
  return fmt::format("{}:{}:{}: {}", file, place.line, place.column, message);
}

Place place_of(const toml::source_region& source) {
  return {std::max<std::uint32_t>(source.begin.line, 1),
          std::max<std::uint32_t>(source.begin.column, 1)};
}

std::string unknown_key(std::string_view key, std::span<const std::string_view> known) {
  return fmt::format("key {} is not known; keys like it: {}", in_quotes(key),
                     fmt::join(nearest_names(key, {known.begin(), known.end()}), ", "));
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a point";
    case toml::node_type::boolean: return "true or false";
    default: return "a date or time";
  }
}

Result<toml::table> parse_toml(std::string_view text, std::string_view file,
                               std::string_view what) {
  if (text.size() > kLargestToml) {
    return fail(
        at(file, {}, fmt::format("{} has at most 1 MiB; write fewer or shorter lines", what)));
  }
  const auto ascii = ascii_only(text);
  if (!ascii) {
    return fail(at(file, ascii.error(), "this is not UTF-8; save the file as UTF-8"));
  }
  toml::parse_result parsed = toml::parse(*ascii);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  return fail(at(file, place_of(error.source()), one_line(error.description())));
}

}  // namespace vpmu::policy
