// SPDX-License-Identifier: MIT
//
// `vpmu run GUEST`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace vpmu::cli {

/// The command line, as text where it still has to be looked at.
struct RunOptions {
  std::string guest;
  std::string cpu = "icelake-server";
  unsigned smp = 1;
  std::string memory = "128M";
  std::string append;
  std::vector<std::string> initrd;
  std::string pmu = "on";
  unsigned host_cpus = 0;  ///< 0: as many as vCPUs
  std::vector<std::string> host_events;
  std::string host_script;  ///< path
  std::uint64_t max_instructions = machine::RunLimits::kNone;
  double timeout = 0;  ///< seconds; 0: none
  std::uint64_t quantum = machine::MachineConfig{}.quantum;
  std::string json;  ///< path, "-", or empty
  bool host_times = false;
  std::vector<std::string> trace;
  std::string filter;                  ///< path, "none", or empty
  std::vector<std::string> filter_at;  ///< INSTRUCTIONS=FILE
  std::vector<std::string> save_at;    ///< INSTRUCTIONS=FILE
  std::string restore;                 ///< path, or empty
  std::vector<std::string> names;      ///< of the options that were on the command line

  [[nodiscard]] bool given(std::string_view name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
};

/// Runs the guest; the exit status of the process.
int run_guest(const RunOptions& options);

}  // namespace vpmu::cli
