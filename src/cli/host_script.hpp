// SPDX-License-Identifier: MIT
//
// `vpmu run --host-script FILE`: what the host does while the guest runs, and when
// (docs/host-script.md).
//
//   [[event]]
//   event = "cycles:D"       # in perf's notation (event_spec.hpp)
//   branches = "any,u"       # branch_filter.hpp
//   cpu = 0                  # or [0, 1], or "all"
//   at = 1_000_000           # machine cycles
//   until = 5_000_000
//
//   [[trace]]
//   at = 7_000_000
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "machine/host_activity.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_cpu_model.hpp"

namespace vpmu::cli {

/// For whom a script is read.
struct HostScriptMachine {
  hostperf::HostCpuModel model;
  unsigned host_cpus;
};

/// The events in the order in which they are written. An error is one line with file, line, column
/// and remedy. What is accepted can be opened on such a machine, if it has no other host events.
Result<std::vector<machine::HostEvent>> parse_host_script(std::string_view text,
                                                          std::string_view file,
                                                          const HostScriptMachine& machine);
/// The same of a file.
Result<std::vector<machine::HostEvent>> read_host_script(const std::string& path,
                                                         const HostScriptMachine& machine);

}  // namespace vpmu::cli
