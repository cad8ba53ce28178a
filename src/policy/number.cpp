// SPDX-License-Identifier: MIT
#include "policy/number.hpp"

#include <charconv>
#include <system_error>

namespace vpmu::policy {

std::optional<std::uint64_t> number(std::string_view text, int base) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || read != end) return {};
  return value;
}

}  // namespace vpmu::policy
