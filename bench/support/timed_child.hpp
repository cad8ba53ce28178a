// SPDX-License-Identifier: MIT
//
// Runs of the workload, and of whatever else is timed as a process of its own.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace vpmu::bench {

/// `vpmu run` ends with (value << 1) | 1: these guests write 0.
inline constexpr int kGuestSuccess = 1;

/// The line that tells what the workload computed; empty if it did not get there.
std::string checksum_line(const std::string& output);

/// Measures `command` once per iteration, by CPU time. Empty: it went well; otherwise why not: it
/// ended with another status, or computed something else.
std::string time_child(benchmark::State& state, const std::vector<std::string>& command,
                       int expected_status, const std::string& expected_checksum);

/// Gives the benchmark up if there is trouble.
void report(benchmark::State& state, const std::string& trouble);

}  // namespace vpmu::bench
