// SPDX-License-Identifier: MIT
//
// What `vpmu record` is told besides the guest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/profiler/profiler.hpp"

namespace vpmu::cli::record {

/// As on the command line: text where it still has to be looked at.
struct RecordOptions {
  /// A sample about every 100,000 cycles of usual CPUs; no round number, which would keep step with
  /// what the guest does in round numbers.
  static constexpr std::uint64_t kDefaultFrequency = 19'997;
  static constexpr std::uint64_t kMostFrequency = 1'000'000;
  static constexpr std::uint64_t kDefaultRealFrequency = 1000;

  std::vector<std::string> events;  ///< values of -e; none: kDefaultEvent
  std::uint64_t period = 0;         ///< 0: by frequency
  std::uint64_t frequency = 0;      ///< samples in a second; 0: not given
  bool callchains = false;
  unsigned max_stack = machine::ProfilerConfig::kDeepest;
  bool any_branches = false;
  std::string branch_filter;  ///< of -j; empty: not given
  std::string output = "perf.data";
  bool as_process = false;
  bool on_host_cpus = false;
  std::string guest_kallsyms;  ///< path, or empty
  std::string symbols;         ///< path, or empty
  bool real_time = false;
  std::string spe;  ///< of --spe=...; empty: as usual

  [[nodiscard]] bool branches() const { return any_branches || !branch_filter.empty(); }
  [[nodiscard]] std::uint64_t real_time_frequency() const {
    return frequency != 0 ? frequency : kDefaultRealFrequency;
  }
};

}  // namespace vpmu::cli::record
