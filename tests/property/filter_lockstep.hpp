// SPDX-License-Identifier: MIT
//
// A filter structure's bytes through src/virt and through the reference: errors, decisions,
// reasons, and what is written back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::property {

/// What differs, or nothing. Asked are `selectors`, fixed counters, and events that entries name.
std::optional<std::string> compare_filter(
    std::span<const std::uint8_t> bytes, bool amd,
    const std::vector<silicon::x86::EventSelector>& selectors);

}  // namespace vpmu::property
