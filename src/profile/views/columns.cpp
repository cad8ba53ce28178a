// SPDX-License-Identifier: MIT
#include "profile/views/columns.hpp"

#include <fmt/format.h>

namespace vpmu::profile {

namespace {
struct Character {
  std::uint32_t code;
  std::size_t bytes;
};

/// Of valid UTF-8.
Character first_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  std::size_t bytes = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (bytes > text.size()) bytes = text.size();
  std::uint32_t code = bytes == 1 ? first : first & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  return {code, bytes};
}

struct Range {
  std::uint32_t first, last;
};
constexpr Range kNoWidth[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},
                              {0x610, 0x61a},   {0x64b, 0x65f},   {0x1ab0, 0x1aff},
                              {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
                              {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},  {0x3041, 0xa4cf},
                           {0xac00, 0xd7a3},   {0xf900, 0xfaff},  {0xfe30, 0xfe6f},
                           {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                           {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

std::size_t width_of(std::uint32_t code) {
  for (const Range& range : kNoWidth) {
    if (code >= range.first && code <= range.last) return 0;
  }
  for (const Range& range : kWide) {
    if (code >= range.first && code <= range.last) return 2;
  }
  return 1;
}
}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    columns += width_of(character.code);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  constexpr std::string_view kDots = "...";
  if (columns_of(text) <= columns) return std::string{text};
  const std::string_view dots = kDots.substr(0, columns);
  std::size_t left = columns - dots.size();
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character character = first_character(text.substr(bytes));
    const std::size_t width = width_of(character.code);
    if (width > left) break;
    left -= width;
    bytes += character.bytes;
  }
  return std::string{text.substr(0, bytes)}.append(dots);
}

std::string padded(std::string_view text, std::size_t columns) {
  std::string cell = cut(text, columns);
  cell.append(columns - columns_of(cell), ' ');
  return cell;
}

std::string short_number(std::uint64_t number) {
  if (number < 100'000) return fmt::format("{}", number);
  auto value = static_cast<double>(number);
  const char* unit = "KMGTPE";
  value /= 1000;
  // What would be rounded to 1000 is 1 of the next unit.
  while (value >= 999.95 && unit[1] != 0) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.9995 ? 3 : value < 99.995 ? 2 : 1;
  return fmt::format("{:.{}f}{}", value, decimals, *unit);
}

}  // namespace vpmu::profile
