// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vpmu::policy {

/// The whole text as a number, in that base or, behind 0x, in 16. None if it is not one, or does
/// not fit.
std::optional<std::uint64_t> number(std::string_view text, int base = 10);

}  // namespace vpmu::policy
