// SPDX-License-Identifier: MIT
//
// Whether a user who wrote a function's name meant that symbol.
#pragma once

#include <cstdint>
#include <string_view>

#include "profile/symbols/symbol_table.hpp"

namespace vpmu::cli::annotate {

/// How much of a symbol's name was written; the more the better.
enum class NameMatch : std::uint8_t {
  kNone,
  kLastParts,          ///< "Table::find" or "find" of "ns::Table::find(int)"
  kWithoutParameters,  ///< "ns::Table::find", or "f" of "f.isra.0"
  kWhole,              ///< all of it, or the linkage name
};

NameMatch match_of(const profile::Symbol& symbol, std::string_view wanted);

}  // namespace vpmu::cli::annotate
