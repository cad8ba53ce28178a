// SPDX-License-Identifier: MIT
//
// What fuzz targets check of messages about files that a user wrote.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace vpmu::fuzz {

inline void check(bool holds, std::string_view what, std::string_view text) {
  if (holds) return;
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(text.size()), text.data());
  std::abort();
}

/// One line of bounded length that begins with the file's name and a colon.
inline void check_message(std::string_view message, std::string_view file) {
  const bool named = message.starts_with(file) && message.substr(file.size()).starts_with(':');
  check(named, "a message without the file", message);
  check(message.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos,
        "more than a line", message);
  check(message.size() < 2000, "a very long line", message);
}

}  // namespace vpmu::fuzz
