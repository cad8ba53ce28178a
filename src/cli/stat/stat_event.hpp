// SPDX-License-Identifier: MIT
//
// The events that `vpmu stat` shows, and what the machine has to count for them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "machine/profiler/event_counts.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/raw_event.hpp"

namespace vpmu::cli::stat {

struct StatEvent {
  std::string name;  ///< as written; fit to be shown
  hostperf::EventAttr attr;
  /// What it counts; none for a condition on cycles, which is in no ratio.
  std::optional<silicon::RawEvent> raw;
  /// The time that vCPUs had on host CPUs, instead of a count.
  bool task_clock = false;
  std::size_t counted = 0;  ///< index into StatPlan::counted; means nothing for a task clock
};

struct StatPlan {
  std::vector<StatEvent> events;  ///< at least one
  std::vector<machine::CountedEvent> counted;
};

/// What the values of -e ask for; if there are none, what most people want to know of a guest.
Result<StatPlan> plan_stat(const std::vector<std::string>& lists,
                           const hostperf::HostCpuModel& model);

}  // namespace vpmu::cli::stat
