// SPDX-License-Identifier: MIT
//
// Ticks of a device's own clock since power-on, in machine time. Rounding is such that a timer
// armed for first_cycle_of(tick) finds ticks_now() >= tick when it fires.
#pragma once

#include <cstdint>

#include "machine/clock.hpp"

namespace vpmu::machine {

/// Whole ticks of a `tick_hz` clock until now.
inline std::uint64_t ticks_now(const Clock& clock, std::uint64_t tick_hz) {
  const std::uint64_t now = clock.now();
  return tick_hz == clock.hz() ? now : clock.from_cycles(now, tick_hz);
}

/// The first cycle at which `ticks` have passed; the last cycle there is if that is out of range.
inline std::uint64_t first_cycle_of(const Clock& clock, std::uint64_t ticks,
                                    std::uint64_t tick_hz) {
  __extension__ using Wide = unsigned __int128;
  const Wide cycle = (static_cast<Wide>(ticks) * clock.hz() + tick_hz - 1) / tick_hz;
  return cycle >= Timer::kNever ? Timer::kNever - 1 : static_cast<std::uint64_t>(cycle);
}

}  // namespace vpmu::machine
