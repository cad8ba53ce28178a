// SPDX-License-Identifier: MIT
#include "cli/stops.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace vpmu::cli {

Result<InstructionsAndFile> parse_instructions_and_file(const std::string& option,
                                                        const std::string& value,
                                                        const std::string& example) {
  const std::size_t equals = value.find('=');
  InstructionsAndFile parsed;
  const char* end = value.data() + std::min(equals, value.size());
  const auto [stopped, error] = std::from_chars(value.data(), end, parsed.instructions);
  if (equals == std::string::npos || equals + 1 == value.size() || error != std::errc{} ||
      stopped != end) {
    return fail(fmt::format("{} '{}': give a number of instructions and a file, as 1000000={}",
                            option, value, example));
  }
  parsed.file = value.substr(equals + 1);
  return parsed;
}

Result<void> check_stops(const std::vector<Stop>& stops, const machine::GuestMachine& machine) {
  for (const Stop& stop : stops) {
    if (stop.instructions >= machine.instructions()) continue;
    return fail(fmt::format("{}: the guest has run {} instructions already; give a larger number",
                            stop.option, machine.instructions()));
  }
  return {};
}

Result<void> run_with_stops(machine::GuestMachine& machine, const std::vector<Stop>& stops,
                            machine::RunLimits limits, machine::Outcome& outcome) {
  Result<void> first_error;
  for (const Stop& stop : stops) {
    limits.pause_at = stop.instructions;
    outcome = machine.run(limits);
    if (outcome.reason != machine::Outcome::Reason::kPaused) {
      if (!first_error || outcome.reason == machine::Outcome::Reason::kStopped) return first_error;
      return fail(fmt::format("{}: the guest ended after {} instructions; give a smaller number",
                              stop.option, machine.instructions()));
    }
    auto done = stop.action();
    if (first_error) first_error = std::move(done);
  }
  limits.pause_at = machine::RunLimits::kNone;
  outcome = machine.run(limits);
  return first_error;
}

}  // namespace vpmu::cli
