// SPDX-License-Identifier: MIT
#include "profile/views/name_table.hpp"

#include <algorithm>

#include "profile/symbols/printable_name.hpp"

namespace vpmu::profile {

std::string clean_text(std::string_view text, std::size_t most) {
  std::string shown;
  shown.reserve(std::min(text.size(), most));
  while (!text.empty()) {
    const std::size_t bytes = letter_bytes(text);
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
