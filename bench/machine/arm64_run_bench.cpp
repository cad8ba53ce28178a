// SPDX-License-Identifier: MIT
//
// Whole runs of AArch64 guests, each a process of its own: the workload with its PMU off, counting
// and interrupting, beside the same image under QEMU, which counts instructions with -icount; and
// what a million exceptions, timer interrupts and device accesses take. Time is CPU time, user and
// system. `start` is a guest that does nothing: to be taken off.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "bench/support/timed_child.hpp"

namespace vpmu::bench {

namespace {
/// Of the workload.
constexpr const char* kRounds = "100";

const std::string& right_checksum() {
  static const std::string line = [] {
    const auto run = run_child({process_path("workload"), kRounds});
    return run ? checksum_line(run->output) : std::string{};
  }();
  return line;
}

void arm64_guest(benchmark::State& state, const char* guest) {
  report(state,
         time_child(state, {vpmu_path(), "run", arm64_guest_path(guest)}, kGuestSuccess, ""));
}

void arm64_workload(benchmark::State& state, const std::string& arguments) {
  report(state, time_child(state,
                           {vpmu_path(), "run", arm64_guest_path("workload"), "--append",
                            std::string{"rounds="} + kRounds + " " + arguments},
                           kGuestSuccess, right_checksum()));
}

void arm64_spe(benchmark::State& state, const char* offered, const std::string& arguments) {
  report(state,
         time_child(state,
                    {vpmu_path(), "run", "--guest-spe", offered, arm64_guest_path("workload"),
                     "--append", std::string{"rounds="} + kRounds + " " + arguments},
                    kGuestSuccess, right_checksum()));
}

/// Semihosting passes its status on as it is.
void arm64_qemu(benchmark::State& state, const char* guest, const std::string& arguments,
                bool computes) {
  constexpr const char* kQemu = "qemu-system-aarch64";
  if (!in_path(kQemu)) {
    return state.SkipWithError("qemu-system-aarch64 is not installed; tools/install-deps bench");
  }
  report(state, time_child(state,
                           {kQemu, "-M", "virt,gic-version=3", "-nic", "none", "-cpu", "cortex-a72",
                            "-icount", "shift=0", "-semihosting", "-nographic", "-kernel",
                            arm64_guest_path(guest), "-append", arguments},
                           0, computes ? right_checksum() : std::string{}));
}

void timed(benchmark::internal::Benchmark* benchmark) {
  benchmark->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(arm64_workload, pmu_off, "pmu=off")->Apply(timed);
BENCHMARK_CAPTURE(arm64_workload, four_counters, "")->Apply(timed);
BENCHMARK_CAPTURE(arm64_workload, four_counters_pmi_100000, "pmi=100000")->Apply(timed);
BENCHMARK_CAPTURE(arm64_workload, four_counters_branches, "events=8,11,9,21")->Apply(timed);
BENCHMARK_CAPTURE(arm64_spe, not_there, "off", "pmu=off")->Apply(timed);
BENCHMARK_CAPTURE(arm64_spe, off, "on", "pmu=off")->Apply(timed);
BENCHMARK_CAPTURE(arm64_spe, every_1024, "on", "pmu=off spe=1024")->Apply(timed);
BENCHMARK_CAPTURE(arm64_spe, every_65536, "on", "pmu=off spe=65536")->Apply(timed);
BENCHMARK_CAPTURE(arm64_qemu, workload, "workload", std::string{"rounds="} + kRounds, true)
    ->Apply(timed);
BENCHMARK_CAPTURE(arm64_qemu, start, "hello", "", false)->Apply(timed);
BENCHMARK_CAPTURE(arm64_guest, start, "hello")->Apply(timed);
BENCHMARK_CAPTURE(arm64_guest, system_calls, "round_trips_svc")->Apply(timed);
BENCHMARK_CAPTURE(arm64_guest, timer_interrupts, "round_trips_timer")->Apply(timed);
BENCHMARK_CAPTURE(arm64_guest, device_accesses, "round_trips_mmio")->Apply(timed);

}  // namespace
}  // namespace vpmu::bench
