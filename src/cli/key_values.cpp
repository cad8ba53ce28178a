// SPDX-License-Identifier: MIT
#include "cli/key_values.hpp"

#include <charconv>

namespace vpmu::cli {

Result<unsigned> parse_number(std::string_view key, std::string_view value, bool hexadecimal) {
  std::string_view digits = value;
  const bool prefixed = hexadecimal && digits.starts_with("0x");
  if (prefixed) digits.remove_prefix(2);
  unsigned number = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, number, prefixed ? 16 : 10);
  if (digits.empty() || error != std::errc{} || rest != end) {
    return fail(fmt::format("{}={}: give a number of 32 bits", key, value));
  }
  return number;
}

Result<bool> parse_switch(std::string_view key, std::string_view value) {
  if (value == "on" || value == "off") return value == "on";
  return fail(fmt::format("{}={}: give on or off", key, value));
}

}  // namespace vpmu::cli
