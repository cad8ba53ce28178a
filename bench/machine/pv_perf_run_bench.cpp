// SPDX-License-Identifier: MIT
//
// Guests that count through PV perf: what four events cost in exits and modelled cycles, step by
// step, in each of the ways that there are (guests/x86/pv/exit_table.c); how long a read of the
// page takes; and what the workload pays for an offer that it does not take up.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <string>

#include "bench/support/build_files.hpp"
#include "guest/exit_phases.hpp"
#include "guests/pvperf/pvperf.h"
#include "machine/machine.hpp"
#include "machine/silent_console.hpp"
#include "vpmu/virt/x86/pv_perf_config.hpp"

namespace vpmu::bench {

namespace {

Result<machine::MachineConfig> machine_config(bool pv_perf) {
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.memory_bytes = std::uint64_t{64} << 20;
  if (!pv_perf) return config;
  const auto offer = virt::x86::offer_pv_perf(*config.model, {});
  if (!offer) return tl::unexpected(offer.error());
  config.pv_perf = *offer;
  return config;
}

void pv_exits(benchmark::State& state, const char* column, bool pv_perf) {
  const auto config = machine_config(pv_perf);
  if (!config) return state.SkipWithError(config.error().message.c_str());
  for (auto _ : state) {
    const auto run = test::run_exit_column(guest_path("exit_table"), column, *config);
    if (!run) return state.SkipWithError(run.error().message.c_str());
    const auto count = [&](const char* name, const test::PhaseUse& use) {
      state.counters[name] = static_cast<double>(use.count());
      state.counters[std::string{name} + "_cycles"] = static_cast<double>(use.cycles());
    };
    count("set_up", (*run)[PHASE_SET_UP]);
    count("create", (*run)[PHASE_CREATE]);
    count("start", (*run)[PHASE_START]);
    count("read_running", (*run)[PHASE_READ_RUNNING]);
    count("read_exact", (*run)[PHASE_READ_EXACT]);
    count("stop", (*run)[PHASE_STOP]);
    count("read_stopped", (*run)[PHASE_READ_STOPPED]);
    count("destroy", (*run)[PHASE_DESTROY]);
    count("task_switch", (*run)[PHASE_TASK_SWITCH]);
    count("overflow", (*run)[PHASE_OVERFLOW]);
    count("perf_stat", run->perf_stat());
  }
  state.counters["mhz"] = static_cast<double>(config->model->hz) / 1e6;
}

/// The reader of the driver, on this CPU; nobody writes meanwhile.
void pv_page_read(benchmark::State& state) {
  static pvperf_page page{};
  constexpr unsigned kEvents = 4;
  pvperf_value values[kEvents];
  std::uint64_t status = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(pvperf_page_read_all(&page, kEvents, values, &status));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Run {
  double seconds;
  std::uint64_t exits;
  std::uint64_t cycles;
};
Result<Run> run_workload(const machine::MachineConfig& config) {
  machine::SilentConsole console;
  const auto machine = machine::Machine::create(config, console);
  if (!machine) return tl::unexpected(machine.error());
  const auto loaded =
      (*machine)->load({guest_path("workload"), "rounds=5 mispredicts=off pmi=10000", {}});
  if (!loaded) return tl::unexpected(loaded.error());
  const double begin = cpu_seconds();
  const machine::Outcome outcome = (*machine)->run({});
  const double seconds = cpu_seconds() - begin;
  if (outcome.reason != machine::Outcome::Reason::kDebugExit || outcome.value != 0)
    return fail("the guest did not end as it should");
  return Run{seconds, (*machine)->vcpus().front()->exits().total_count(), (*machine)->now()};
}

/// The workload counts through the PMU; PV perf is there, or is not, and not used. The best of some
/// runs, since the difference is smaller than what else a machine does.
void workload_beside_pv_perf(benchmark::State& state, bool pv_perf) {
  constexpr int kRuns = 5;
  const auto config = machine_config(pv_perf);
  if (!config) return state.SkipWithError(config.error().message.c_str());
  for (auto _ : state) {
    double best = std::numeric_limits<double>::infinity();
    for (int n = 0; n < kRuns; ++n) {
      const auto run = run_workload(*config);
      if (!run) return state.SkipWithError(run.error().message.c_str());
      best = std::min(best, run->seconds);
      state.counters["exits"] = static_cast<double>(run->exits);
      state.counters["cycles"] = static_cast<double>(run->cycles);
    }
    state.SetIterationTime(best);
  }
}

BENCHMARK_CAPTURE(pv_exits, general, "general", false)->Iterations(1);
BENCHMARK_CAPTURE(pv_exits, fixed, "fixed", false)->Iterations(1);
BENCHMARK_CAPTURE(pv_exits, calls, "calls", true)->Iterations(1);
BENCHMARK_CAPTURE(pv_exits, registers, "registers", true)->Iterations(1);
BENCHMARK_CAPTURE(pv_exits, batch, "batch", true)->Iterations(1);
BENCHMARK(pv_page_read);
BENCHMARK_CAPTURE(workload_beside_pv_perf, absent, false)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(workload_beside_pv_perf, unused, true)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
