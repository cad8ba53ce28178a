// SPDX-License-Identifier: MIT
#include "cli/size_text.hpp"

#include <cctype>
#include <charconv>

#include <fmt/format.h>

namespace vpmu::cli {

Result<std::uint64_t> parse_size(const std::string& text) {
  const auto bad = [&text] {
    return fail(fmt::format("size '{}': give a number with K, M, G or T, such as 128M", text));
  };
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) return bad();

  std::string unit{rest, end};
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const char* suffix : {"IB", "B"}) {
    if (unit.size() > 1 && unit.substr(1) == suffix) unit.resize(1);
  }
  unsigned shift = 20;
  if (!unit.empty()) {
    const auto place = std::string{"KMGT"}.find(unit);
    if (unit.size() != 1 || place == std::string::npos) return bad();
    shift = 10 * (static_cast<unsigned>(place) + 1);
  }
  if (number > ~std::uint64_t{0} >> shift) return bad();
  return number << shift;
}

}  // namespace vpmu::cli
