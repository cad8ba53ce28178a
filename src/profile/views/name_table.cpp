// SPDX-License-Identifier: MIT
#include "profile/views/name_table.hpp"

#include <algorithm>

namespace vpmu::profile {

namespace {
/// Bytes of the well-formed character at the beginning that may be shown; 0 if there is none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= ' ' && first != 0x7f ? 1 : 0;
  const std::size_t bytes = first < 0xc2   ? 0
                            : first < 0xe0 ? 2
                            : first < 0xf0 ? 3
                            : first < 0xf5 ? 4
                                           : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  std::uint32_t code = first & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10ffff) return 0;
  const bool control = code < 0xa0 || (code >= 0x200e && code <= 0x200f) ||
                       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool no_character = (code & 0xfffe) == 0xfffe || code == 0xfeff;
  return control || surrogate || no_character ? 0 : bytes;
}
}  // namespace

std::string clean_text(std::string_view text, std::size_t most) {
  std::string shown;
  shown.reserve(std::min(text.size(), most));
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    if (shown.size() + std::max<std::size_t>(bytes, 1) > most) return shown + "...";
    if (bytes == 0) {
      shown += '?';
    } else {
      shown += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return shown;
}

NameTable::NameTable() {
  add("");
}

NameId NameTable::add(std::string_view text) {
  const std::string name = clean_text(text);
  const auto next = static_cast<NameId>(names_.size());
  const auto [id, added] = ids_.find_or_add(Hash{}.add(name).value(), next,
                                            [&](NameId known) { return names_[known] == name; });
  if (added) names_.push_back(name);
  return id;
}

}  // namespace vpmu::profile
