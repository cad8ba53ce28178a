// SPDX-License-Identifier: MIT
//
// Names of a profile as numbers. What is kept is fit for every view: valid UTF-8 without control
// characters, and of bounded length, whatever was in the file.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "profile/views/id_table.hpp"

namespace vpmu::profile {

using NameId = std::uint32_t;

/// The empty name, which is always there.
inline constexpr NameId kNoName = 0;

/// Valid UTF-8 in which every control character and every byte that is none is '?'. What is longer
/// than `most` bytes ends in "...".
std::string clean_text(std::string_view text, std::size_t most = 4096);

class NameTable {
 public:
  NameTable();
  NameId add(std::string_view text);
  [[nodiscard]] const std::string& operator[](NameId id) const { return names_[id]; }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

 private:
  std::deque<std::string> names_;
  IdTable ids_;
};

}  // namespace vpmu::profile
