// SPDX-License-Identifier: MIT
#include "bench/support/timed_child.hpp"

#include "bench/support/child.hpp"

namespace vpmu::bench {

std::string checksum_line(const std::string& output) {
  const std::size_t at = output.find("checksum ");
  return at == std::string::npos ? "" : output.substr(at, output.find_first_of("\r\n", at) - at);
}

std::string time_child(benchmark::State& state, const std::vector<std::string>& command,
                       int expected_status, const std::string& expected_checksum) {
  double wall = 0;
  for (auto _ : state) {
    const auto run = run_child(command);
    if (!run) return run.error().message;
    if (run->status != expected_status) {
      return command[0] + " ended with status " + std::to_string(run->status) + ": " + run->output;
    }
    if (checksum_line(run->output) != expected_checksum) {
      return command[0] + " computed something else: " + run->output;
    }
    state.SetIterationTime(run->cpu_seconds);
    wall += run->wall_seconds;
  }
  state.counters["wall_ms"] = benchmark::Counter(wall * 1000, benchmark::Counter::kAvgIterations);
  return {};
}

void report(benchmark::State& state, const std::string& trouble) {
  if (!trouble.empty()) state.SkipWithError(trouble.c_str());
}

}  // namespace vpmu::bench
