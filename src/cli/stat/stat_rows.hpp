// SPDX-License-Identifier: MIT
//
// From counts to what is shown of them: sums over vCPUs, estimates where an event had to share a
// counter, ratios. The same rows become a table, CSV and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/stat/stat_event.hpp"
#include "machine/profiler/event_counts.hpp"

namespace vpmu::cli::stat {

/// What a value says beside another one: "0.80 insn per cycle", "5.40% of all branches".
struct Metric {
  double value = 0;
  int decimals = 2;
  bool percent = false;
  const char* unit = "";
};

/// One event, for one vCPU or for all of them together.
struct StatRow {
  const StatEvent* event = nullptr;
  std::optional<unsigned> vcpu;  ///< none: all
  std::uint64_t count = 0;       ///< while it was on a counter
  std::uint64_t time_enabled_ns = 0;
  std::uint64_t time_running_ns = 0;
  unsigned in_error = 0;              ///< vCPUs on which it is pinned and did not fit
  const char* not_counted = nullptr;  ///< why there is no value; null: there is
  std::optional<Metric> metric;

  /// The count, or what it would have been had the event been on a counter all the time:
  /// count * enabled / running, rounded. A task clock: nanoseconds.
  [[nodiscard]] std::uint64_t value() const;
  /// Of the time that the event was enabled, 100 for all of it.
  [[nodiscard]] double running_percent() const;
};

/// What happened between two readings; its `time` is the cycles between them.
machine::CountsReading difference(const machine::CountsReading& later,
                                  const machine::CountsReading& earlier);

/// In the order of the events, those of an event in the order of vCPUs. `hz`: of machine time.
std::vector<StatRow> stat_rows(const StatPlan& plan, const machine::CountsReading& reading,
                               std::uint64_t hz, bool per_vcpu);

}  // namespace vpmu::cli::stat
