// SPDX-License-Identifier: MIT
#include "policy/user_text.hpp"

#include <cstddef>

#include <fmt/format.h>

namespace vpmu::policy {

std::string one_line(std::string_view text) {
  constexpr std::size_t kMost = 80;
  std::string line{text.substr(0, kMost)};
  // Not the first half of a letter.
  if (text.size() > kMost) {
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80)
      line.pop_back();
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0x80) line.pop_back();
    line += "...";
  }
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return line;
}

std::string in_quotes(std::string_view text) {
  return fmt::format("'{}'", one_line(text));
}

}  // namespace vpmu::policy
