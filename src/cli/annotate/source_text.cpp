// SPDX-License-Identifier: MIT
#include "cli/annotate/source_text.hpp"

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/read_all.hpp"
#include "profile/symbols/printable_name.hpp"

namespace vpmu::cli::annotate {

namespace {
/// Only regular files of a source's size: an image may name anything.
std::vector<std::string> lines_of(const std::string& path) {
  constexpr std::size_t kMostBytes = std::size_t{16} << 20;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || !std::filesystem::is_regular_file(path, error) || size > kMostBytes) return {};
  const auto content = read_all(path, size);
  if (!content) return {};
  std::vector<std::string> lines;
  std::string_view rest = *content;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    lines.push_back(profile::printable_name(line));
  }
  return lines;
}
}  // namespace

const std::string& SourceText::of(const profile::SourceLine& line) {
  static const std::string kNothing;
  auto found = files_.find(line.file);
  if (found == files_.end()) found = files_.emplace(line.file, lines_of(line.file)).first;
  const std::vector<std::string>& lines = found->second;
  return line.line - 1 < lines.size() ? lines[line.line - 1] : kNothing;
}

}  // namespace vpmu::cli::annotate
