// SPDX-License-Identifier: MIT
//
// Where a run is interrupted for a moment: --save-at INSTRUCTIONS=FILE, --filter-at
// INSTRUCTIONS=FILE. What happens there does not change the run's course otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "machine/guest_machine.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::cli {

/// An option's value.
struct InstructionsAndFile {
  std::uint64_t instructions = 0;  ///< of all vCPUs together, from power-on
  std::string file;
};

/// `option` ("--save-at") and an `example` ("guest.snapshot") are for the error.
Result<InstructionsAndFile> parse_instructions_and_file(const std::string& option,
                                                        const std::string& value,
                                                        const std::string& example);

struct Stop {
  std::uint64_t instructions = 0;
  std::string option;  ///< as it was given: "--save-at 1000=guest.snapshot"
  std::function<Result<void>()> action;
};

/// Of a machine before it runs: an error if one lies behind it.
Result<void> check_stops(const std::vector<Stop>& stops, const machine::GuestMachine& machine);

/// Runs to the end, stopping on the way at `stops`, which are in the order of their instructions.
/// The first error of a stop does not end the run. A guest that ends before a stop is an error, one
/// that is stopped (GuestMachine::stop()) is not. `limits.pause_at` is not looked at.
Result<void> run_with_stops(machine::GuestMachine& machine, const std::vector<Stop>& stops,
                            machine::RunLimits limits, machine::Outcome& outcome);

}  // namespace vpmu::cli
