// SPDX-License-Identifier: MIT
//
// Large numbers for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace vpmu {

/// 12345678 as 12,345,678.
inline std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t from_end = 3; from_end < text.size(); from_end += 4) {
    text.insert(text.size() - from_end, 1, ',');
  }
  return text;
}

}  // namespace vpmu
