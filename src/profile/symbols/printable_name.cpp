// SPDX-License-Identifier: MIT
#include "profile/symbols/printable_name.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace vpmu::profile {

namespace {
bool plain(char c) {
  return c >= ' ' && c <= '~';
}
}  // namespace

std::size_t letter_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return plain(text.front()) ? 1 : 0;
  const std::size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return 0;
  std::uint32_t letter = lead & (0x7f >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    letter = letter << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto is_in = [letter](std::uint32_t first, std::uint32_t last) {
    return letter >= first && letter <= last;
  };
  if (letter < kLeast[length] || letter > 0x10ffff || is_in(0xd800, 0xdfff)) return 0;
  // Control characters; marks of writing direction, line and paragraph; invisible operators; what
  // is no character, and none in XML.
  if (is_in(0x80, 0x9f) || letter == 0x61c || is_in(0x200b, 0x200f) || is_in(0x2028, 0x202e) ||
      is_in(0x2060, 0x206f) || letter == 0xfeff || (letter & 0xfffe) == 0xfffe) {
    return 0;
  }
  return length;
}

std::string printable_name(std::string_view name) {
  if (name.size() <= kLongestName && std::ranges::all_of(name, plain)) return std::string{name};
  std::string result;
  while (!name.empty()) {
    const std::size_t letter = letter_bytes(name);
    const std::string shown =
        letter > 0 ? std::string{name.substr(0, letter)}
                   : fmt::format("\\x{:02x}", static_cast<std::uint8_t>(name.front()));
    const bool last = shown.size() >= name.size() && letter > 0;
    if (result.size() + shown.size() > kLongestName - (last ? 0 : 3)) return result + "...";
    result += shown;
    name.remove_prefix(std::max<std::size_t>(letter, 1));
  }
  return result;
}

}  // namespace vpmu::profile
