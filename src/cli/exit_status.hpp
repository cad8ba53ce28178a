// SPDX-License-Identifier: MIT
//
// The exit statuses of `vpmu run`, of which test runners make their verdicts.
#pragma once

#include "machine/machine.hpp"

namespace vpmu::cli {

inline constexpr int kStatusBadInput = 2;  ///< bad usage, bad guest image, unwritable report
inline constexpr int kStatusBudget = 124;  ///< instruction or time limit; halted for good
inline constexpr int kStatusCrash = 125;

/// `signal`: the one that stopped the run, 0 if none did. Debug-exit gives (value << 1) | 1, of
/// which the operating system keeps 8 bits, as other VMMs do.
int exit_status(const machine::Outcome& outcome, int signal);

}  // namespace vpmu::cli
