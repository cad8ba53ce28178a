// SPDX-License-Identifier: MIT
#include "cli/stops.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace vpmu::cli {

Result<StopPoint> parse_stop_point(const std::string& option, const std::string& value,
                                   const StopWords& words) {
  const std::size_t equals = value.find('=');
  StopPoint parsed;
  const char* end = value.data() + std::min(equals, value.size());
  const auto [stopped, error] = std::from_chars(value.data(), end, parsed.instructions);
  if (equals == std::string::npos || equals + 1 == value.size() || error != std::errc{} ||
      stopped != end) {
    return fail(fmt::format("{} '{}': give a number of instructions and {}, as 1000000={}", option,
                            value, words.what, words.example));
  }
  parsed.what = value.substr(equals + 1);
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

Result<void> check_distinct(const std::vector<Stop>& stops) {
  for (std::size_t n = 0; n < stops.size(); ++n) {
    for (std::size_t other = 0; other < n; ++other) {
      if (stops[n].instructions != stops[other].instructions) continue;
      return fail(fmt::format("{} and {} are at the same instruction; leave one of them out",
                              stops[other].option, stops[n].option));
    }
  }
  return {};
}

Result<void> run_with_stops(machine::GuestMachine& machine, const std::vector<Stop>& stops,
                            machine::RunLimits limits, const ComesEarly& comes_early,
                            machine::Outcome& outcome) {
  Result<void> first_error;
  for (const Stop& stop : stops) {
    limits.pause_at = stop.instructions;
    outcome = machine.run(limits);
    const bool there = outcome.reason == machine::Outcome::Reason::kPaused;
    if (!there && !comes_early(stop, outcome)) {
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
