// SPDX-License-Identifier: MIT
//
// What every command that runs a guest is told about it: the guest, its machine, the host, what the
// guest may count, and how long it runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace vpmu::cli {

/// As on the command line: text where it still has to be looked at.
struct GuestOptions {
  std::string image;  ///< path
  std::string cpu = "icelake-server";
  unsigned smp = 1;
  std::string memory = "128M";
  std::string append;
  std::vector<std::string> initrd;
  std::string pmu = "on";
  std::string guest_spe = "off", spe_cpus, spe_supported;
  std::vector<std::string> spe_at;  ///< INSTRUCTIONS=trap|exit|resume
  std::string pv_perf = "off";
  std::string pv_perf_raw;  ///< path, or empty
  std::string host_cpu;     ///< empty: as `cpu`
  unsigned host_cpus = 0;   ///< 0: as many as vCPUs
  std::vector<std::string> host_events;
  std::string host_script;  ///< path
  std::uint64_t max_instructions = machine::RunLimits::kNone;
  double timeout = 0;  ///< seconds; 0: none
  std::uint64_t quantum = machine::MachineConfig{}.quantum;
  std::string filter;                  ///< path, "none", or empty
  std::vector<std::string> filter_at;  ///< INSTRUCTIONS=FILE
  std::string restore;                 ///< path, or empty
  std::vector<std::string> names;      ///< of all options that were on the command line

  [[nodiscard]] bool given(std::string_view name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  /// Of --host-cpus: that the vCPUs share.
  [[nodiscard]] unsigned shared_host_cpus() const { return host_cpus != 0 ? host_cpus : smp; }
};

/// Adds the options to a command, under a heading of their own behind the command's. A command line
/// without a guest is a CLI::ParseError. `options` stays where it is.
void add_guest_options(CLI::App& command, GuestOptions& options);

/// The end of a command's help: what its exit status means.
extern const char* const kGuestExitStatusHelp;

}  // namespace vpmu::cli
