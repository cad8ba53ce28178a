// SPDX-License-Identifier: MIT
//
// Readings of counts that nobody has counted.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/stat/stat_event.hpp"
#include "machine/profiler/event_counts.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::test {

using machine::CountsReading;
using Count = machine::CountsReading::Count;

inline const silicon::x86::CpuModel& icelake() {
  return *silicon::x86::find_cpu_model("icelake-server");
}

/// The plan of one value of -e, which must be right.
inline cli::stat::StatPlan plan(const std::string& list) {
  auto plan = cli::stat::plan_stat({list}, icelake());
  EXPECT_TRUE(plan.has_value()) << list;
  return plan.value_or(cli::stat::StatPlan{});
}

/// On a counter for `running` of 1000 ns.
inline Count count(std::uint64_t value, std::uint64_t running = 1000) {
  Count count;
  count.value = value;
  count.time_enabled_ns = 1000;
  count.time_running_ns = running;
  return count;
}

inline Count in_error() {
  Count count;
  count.error = true;
  return count;
}

/// Of 1000 ns, `counts[event][vcpu]`.
inline CountsReading reading(std::vector<std::vector<Count>> counts) {
  return {.time = icelake().hz / 1'000'000, .counts = std::move(counts)};
}

}  // namespace vpmu::test
