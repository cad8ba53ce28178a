// SPDX-License-Identifier: MIT
//
// What a modelled CPU counts for an event: its attributes, looked up in the CPU model.
#pragma once

#include <optional>

#include "hostperf/counter_budget.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/cycle_conditions.hpp"

namespace vpmu::hostperf {

struct Programme {
  /// What its count is a total of. For a condition: what is to be watched, `condition.event`.
  silicon::RawEvent raw = silicon::RawEvent::kInstructions;
  /// Empty: stands still.
  silicon::PrivilegeSet privileges{};
  CounterSet counters = 0;
  LbrUse lbr{};
  /// Counted are cycles or edges.
  std::optional<silicon::CycleCondition> condition{};
};

/// Empty: the model cannot count it.
std::optional<Programme> programme(const EventAttr& attr, const HostCpuModel& model);

}  // namespace vpmu::hostperf
