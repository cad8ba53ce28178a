// SPDX-License-Identifier: MIT
//
// What `vpmu cpu` says of CPU models of any architecture.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vpmu/silicon/memory_hierarchy.hpp"

namespace vpmu::cli {

/// "48 KiB", "1.25 MiB".
std::string size_text(silicon::CacheGeometry cache);
/// One line for each cache and TLB, as `vpmu cpu show` has them.
std::string memory_text(const silicon::MemoryHierarchy& memory);
/// What is below an event: how it differs from the hardware's, and where its code was taken from.
std::string event_note_text(std::string_view note, std::string_view source);
/// "2.60".
std::string gigahertz_text(std::uint64_t hz);

}  // namespace vpmu::cli
