// SPDX-License-Identifier: MIT
//
// Folded stacks: a line for each, "task;outermost;...;innermost WEIGHT", which flame graph tools
// read. Kernel frames end in "_[k]".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "profile/views/profile.hpp"
#include "profile/views/text_sink.hpp"

namespace vpmu::profile {

enum class WeightKind : std::uint8_t { kSamples, kCount };

/// A function's name as folded stacks have it: no list of arguments, no quotes, no angle brackets,
/// ':' for ';'.
std::string folded_name(std::string_view name);

/// Sorted lines.
Result<void> write_folded(const Profile& profile, std::uint32_t event, WeightKind weight,
                          const TextSink& sink);

}  // namespace vpmu::profile
