// SPDX-License-Identifier: MIT
//
// Where a run is interrupted for a moment: --save-at INSTRUCTIONS=FILE, --filter-at
// INSTRUCTIONS=FILE, --spe-at INSTRUCTIONS=trap. What happens there does not change the run's
// course otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "machine/guest_machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// An option's value.
struct StopPoint {
  std::uint64_t instructions = 0;  ///< of all vCPUs together, from power-on
  std::string what;                ///< a file, or whatever is asked for there; not empty
};

/// What an option's value is called where it is none.
struct StopWords {
  const char* what = "a file";
  const char* example = "guest.snapshot";
};
/// `option`: "--save-at".
Result<StopPoint> parse_stop_point(const std::string& option, const std::string& value,
                                   const StopWords& words);

struct Stop {
  std::uint64_t instructions = 0;
  std::string option;  ///< as it was given: "--save-at 1000=guest.snapshot"
  std::function<Result<void>()> action;
};

/// Of a machine before it runs: an error if one lies behind it.
Result<void> check_stops(const std::vector<Stop>& stops, const machine::GuestMachine& machine);

/// An error names two that are at the same instruction.
Result<void> check_distinct(const std::vector<Stop>& stops);

/// Asked of a stop that the run has not come to: whether it is done now, and the run goes on behind
/// it.
using ComesEarly = std::function<bool(const Stop& stop, const machine::Outcome& outcome)>;

/// Runs to the end, stopping on the way at `stops`, which are in the order of their instructions.
/// The first error of a stop does not end the run. A guest that ends before a stop is an error, one
/// that is stopped (GuestMachine::stop()) is not. `limits.pause_at` is not looked at.
Result<void> run_with_stops(machine::GuestMachine& machine, const std::vector<Stop>& stops,
                            machine::RunLimits limits, const ComesEarly& comes_early,
                            machine::Outcome& outcome);

}  // namespace vpmu::cli
