// SPDX-License-Identifier: MIT
#include "cli/wrap.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace vpmu::cli {

std::string wrapped(std::string_view head, std::size_t indent, std::string_view text,
                    std::size_t columns) {
  std::string lines{head};
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + length > columns) {
      lines += '\n' + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      lines += ' ';
      ++column;
    }
    lines += text.substr(0, length);
    column += length;
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return lines;
}

std::size_t output_columns() {
  constexpr std::size_t kFewest = 40;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kTextColumns;
  return std::clamp<std::size_t>(size.ws_col, kFewest, kTextColumns);
}

}  // namespace vpmu::cli
