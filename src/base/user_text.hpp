// SPDX-License-Identifier: MIT
//
// A user's text, or a file's, as it is shown in messages about it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vpmu {

/// All of it, on one line: control characters are '?'. For paths.
inline std::string printable(std::string_view text) {
  std::string line{text};
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return line;
}

/// The same, and not too much of it.
inline std::string one_line(std::string_view text) {
  constexpr std::size_t kMost = 80;
  if (text.size() <= kMost) return printable(text);
  std::string line{text.substr(0, kMost)};
  // Not the first half of a letter.
  while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) line.pop_back();
  if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0x80) line.pop_back();
  line += "...";
  return printable(line);
}

/// one_line() in single quotes.
inline std::string in_quotes(std::string_view text) {
  std::string quoted{'\''};
  quoted += one_line(text);
  quoted += '\'';
  return quoted;
}

}  // namespace vpmu
