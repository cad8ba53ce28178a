// SPDX-License-Identifier: MIT
//
// What a trace's timestamps are in time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vpmu::profile::spe {

/// Nanoseconds of ticks: zero + (ticks * multiplier >> shift), as TIME_CONV of perf.data has it.
struct TimeConversion {
  std::uint64_t shift = 0;
  std::uint64_t multiplier = 1;
  std::uint64_t zero = 0;

  /// No bits are lost in between; of more than 64, the low ones.
  [[nodiscard]] std::uint64_t nanoseconds(std::uint64_t ticks) const {
    return zero + static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks) * multiplier >>
                                             std::min<std::uint64_t>(shift, 127));
  }
  friend bool operator==(const TimeConversion&, const TimeConversion&) = default;
};

}  // namespace vpmu::profile::spe
