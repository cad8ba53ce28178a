// SPDX-License-Identifier: MIT
//
// What is known of a run when it is over: as JSON (docs/report.md describes it field by field) and
// as a few lines for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/any_machine.hpp"

namespace vpmu::cli {

/// What the machine does not know of itself.
struct RunFacts {
  std::string image;
  std::string arguments;
  machine::Outcome outcome;
  int signal = 0;  ///< that stopped the run; SIGALRM: the time limit
  int status = 0;
  double host_seconds = 0;
};

/// Version of the JSON's shape: goes up when a field changes its meaning or disappears.
inline constexpr int kReportVersion = 1;

/// The same run gives the same bytes, unless `host_times`: then what depends on the host is in it
/// too.
nlohmann::ordered_json report(const AnyMachine& machine, const RunFacts& facts, bool host_times);

/// The field `outcome` of a report: how the run ended, and how far it came.
nlohmann::ordered_json outcome_json(const machine::GuestMachine& machine, const RunFacts& facts);

/// Lines, each ending with a newline.
std::string summary(const AnyMachine& machine, const RunFacts& facts);

}  // namespace vpmu::cli
