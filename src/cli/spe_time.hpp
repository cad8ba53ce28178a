// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "profile/spe/time_conversion.hpp"

namespace vpmu::cli {

/// Of a generic counter that counts `hz` times a second.
inline profile::spe::TimeConversion spe_time(std::uint64_t hz) {
  constexpr std::uint64_t kShift = 20, kNanoseconds = 1'000'000'000;
  return {.shift = kShift, .multiplier = (kNanoseconds << kShift) / hz, .zero = 0};
}

}  // namespace vpmu::cli
