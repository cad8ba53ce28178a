// SPDX-License-Identifier: MIT
#include "policy/ascii_only.hpp"

#include <cstddef>
#include <cstdint>

namespace vpmu::policy {

namespace {
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Bytes of the character that begins with `first`; 0: none does.
std::size_t length_of(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;  // in the middle, or two bytes for what takes one
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

/// The smallest and largest second byte of characters that are not too long, no surrogates, and not
/// beyond U+10FFFF: RFC 3629, section 4.
bool is_second(std::uint8_t first, std::uint8_t second) {
  switch (first) {
    case 0xe0: return second >= 0xa0 && second < 0xc0;
    case 0xed: return second >= 0x80 && second < 0xa0;
    case 0xf0: return second >= 0x90 && second < 0xc0;
    case 0xf4: return second >= 0x80 && second < 0x90;
    default: return second >= 0x80 && second < 0xc0;
  }
}

/// Bytes of the character at the beginning; 0: it is not UTF-8.
std::size_t character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::size_t length = length_of(byte(0));
  if (length > text.size()) return 0;
  if (length >= 2 && !is_second(byte(0), byte(1))) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}
}  // namespace

tl::expected<std::string, Place> ascii_only(std::string_view text) {
  std::string ascii;
  Place place;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const std::size_t length = character(text);
    if (length == 0) return tl::unexpected(place);
    ascii += length == 1 ? text.front() : '~';
    ++place.column;
    if (text.front() == '\n') place = {place.line + 1, 1};
    text.remove_prefix(length);
  }
  return ascii;
}

}  // namespace vpmu::policy
