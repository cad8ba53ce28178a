// SPDX-License-Identifier: MIT
//
// Guests that record branches: what recording costs a workload of which every fifth instruction is
// a branch, as a process of its own as a user starts it; and what of a guest's accesses to its
// records exits, when it reads all of them at each of 1,000 PMIs, three times over, beside the same
// guest with all of them intercepted.
#include <benchmark/benchmark.h>

#include <memory>
#include <optional>
#include <string>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"
#include "machine/machine.hpp"
#include "machine/silent_console.hpp"
#include "vpmu/virt/exit_stats.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::bench {

namespace {

/// `vpmu run` ends with (value << 1) | 1: these guests write 0.
constexpr int kGuestSuccess = 1;

void branchy_guest(benchmark::State& state, const char* cpu, const char* arguments) {
  for (auto _ : state) {
    const auto run = run_child({vpmu_path(), "run", guest_path("branchy"), "--cpu", cpu, "--pmu",
                                "lbr=on", "--append", arguments});
    if (!run) return state.SkipWithError(run.error().message.c_str());
    if (run->status != kGuestSuccess) return state.SkipWithError(run->output.c_str());
    state.SetIterationTime(run->cpu_seconds);
  }
}

/// What a vCPU's exits for MSRs cost, in core cycles.
double modelled_cycles(const virt::x86::LbrStatistics& lbr) {
  return static_cast<double>(
      lbr.intercepted_reads * virt::modelled_cost(virt::ExitReason::kMsrRead) +
      lbr.intercepted_writes * virt::modelled_cost(virt::ExitReason::kMsrWrite));
}

void records_at_pmis(benchmark::State& state, bool pass_through) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  config.pass_lbr_through = pass_through;
  const auto pmu = virt::x86::restrict_pmu(*config.model, {.lbr = true});
  if (!pmu) return state.SkipWithError(pmu.error().message.c_str());
  config.pmu = *pmu;
  for (auto _ : state) {
    const auto machine = machine::Machine::create(config, console);
    if (!machine) return state.SkipWithError(machine.error().message.c_str());
    const auto loaded = (*machine)->load({guest_path("lbr_pmi"), "count=1000", {}});
    if (!loaded) return state.SkipWithError(loaded.error().message.c_str());
    const machine::Outcome outcome = (*machine)->run({});
    if (outcome.reason != machine::Outcome::Reason::kDebugExit || outcome.value != 0)
      return state.SkipWithError("the guest found something wrong");
    const machine::Vcpu& vcpu = *(*machine)->vcpus().front();
    const virt::x86::LbrStatistics& lbr = vcpu.lbr().statistics();
    state.counters["pmis"] = static_cast<double>(vcpu.pmu().statistics().pmis_delivered);
    state.counters["exits"] = static_cast<double>(lbr.intercepted_reads + lbr.intercepted_writes);
    state.counters["events"] = static_cast<double>(lbr.events_created);
    state.counters["cycles"] = modelled_cycles(lbr);
  }
}

BENCHMARK_CAPTURE(branchy_guest, legacy_off, "icelake-server", "rounds=600 lbr=off")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(branchy_guest, legacy_on, "icelake-server", "rounds=600 lbr=on")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(branchy_guest, architectural_off, "sapphire-rapids", "rounds=600 lbr=off")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(branchy_guest, architectural_on, "sapphire-rapids", "rounds=600 lbr=on")
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(records_at_pmis, passed_through, true)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(records_at_pmis, intercepted, false)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
