// SPDX-License-Identifier: MIT
//
// A place in a file, as error messages name it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vpmu::policy {

/// From 1.
struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  friend constexpr bool operator==(Place, Place) = default;
};

/// "FILE:3:10: ..."
std::string at(std::string_view file, Place place, std::string_view message);

}  // namespace vpmu::policy
