// SPDX-License-Identifier: MIT
//
// Whole runs, each a process of its own as a user starts it: the workload guest with its PMU off,
// counting, and interrupting, beside the same code as a process under callgrind and alone. Time is
// CPU time, user and system, of that process; `wall_ms` is how long it took.
//
// A run whose checksum is not that of the process that no tool looks at is an error.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "bench/support/timed_child.hpp"

namespace vpmu::bench {

namespace {

const std::string& right_checksum() {
  static const std::string line = [] {
    const auto run = run_child({process_path("workload")});
    return run ? checksum_line(run->output) : std::string{};
  }();
  return line;
}

void workload_guest(benchmark::State& state, const char* arguments) {
  report(state,
         time_child(state, {vpmu_path(), "run", guest_path("workload"), "--append", arguments},
                    kGuestSuccess, right_checksum()));
}

void workload_alone(benchmark::State& state) {
  report(state, time_child(state, {process_path("workload")}, 0, right_checksum()));
}

void workload_callgrind(benchmark::State& state) {
  if (!in_path("valgrind")) return state.SkipWithError("valgrind is not installed");
  report(state, time_child(state,
                           {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                            process_path("workload")},
                           0, right_checksum()));
}

/// The same without work: what of callgrind's time is starting up.
void callgrind_start(benchmark::State& state) {
  if (!in_path("valgrind")) return state.SkipWithError("valgrind is not installed");
  report(state, time_child(state,
                           {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                            process_path("workload"), "0"},
                           0, "checksum 0000000000000000"));
}

void smallest_guest(benchmark::State& state) {
  report(state, time_child(state, {vpmu_path(), "run", guest_path("smallest")}, kGuestSuccess, ""));
}

BENCHMARK_CAPTURE(workload_guest, pmu_off, "pmu=off")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_guest, four_counters, "mispredicts=off")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_guest, four_counters_pmi_10000, "mispredicts=off pmi=10000")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_guest, all_counters, "mispredicts=off counters=all")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_guest, four_counters_llc_misses, "llc=on")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_guest, four_counters_mispredicts, "")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(workload_callgrind)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(callgrind_start)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(workload_alone)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(smallest_guest)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
