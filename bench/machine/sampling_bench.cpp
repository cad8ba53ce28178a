// SPDX-License-Identifier: MIT
//
// What sampling costs a guest: the workload with frame pointers, and a guest whose stacks are 75
// frames deep in kernel and user mode, not sampled and sampled at two periods, with call stacks or
// with branch stacks. In this process, CPU time of the run alone; an iteration is a whole run.
#include <benchmark/benchmark.h>

#include <ctime>
#include <memory>
#include <string>

#include "bench/support/build_files.hpp"
#include "machine/machine.hpp"
#include "machine/profiler/profiler.hpp"
#include "machine/silent_console.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::bench {

namespace {

struct Guest {
  const char* image;
  const char* arguments;
};
constexpr Guest kWorkload{"workload_stacks", "pmu=off rounds=20"};
constexpr Guest kDeep{"profiled", "parts=100 depth=70"};

struct Sampling {
  std::uint64_t period = 0;  ///< instructions; 0: none
  bool callchains = false;
  bool branches = false;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Looks at everything, as whoever writes it down must.
class Reading final : public hostperf::SampleSink {
 public:
  std::uint64_t samples = 0, frames = 0, branches = 0, sum = 0;

  void on_sample(const hostperf::Sample& sample) override {
    ++samples;
    frames += sample.callchain.size();
    branches += sample.branches.size();
    sum += sample.ip;
    for (const std::uint64_t address : sample.callchain) sum += address;
    for (const auto& branch : sample.branches) sum += branch.from ^ branch.to;
  }
};

machine::ProfilerConfig profile(const Sampling& sampling) {
  constexpr std::uint64_t kInstructions = 0xc0;
  machine::SamplingEvent event{.name = "instructions",
                               .attr = {.config = kInstructions, .period = sampling.period},
                               .precise = true};
  if (sampling.branches) event.attr.branch_type = hostperf::kBranchAny;
  return {.events = {event},
          .callchain_depth = sampling.callchains ? machine::ProfilerConfig::kDeepest : 0};
}

/// Seconds of one run; the reason why there is none otherwise.
Result<double> run(const Guest& guest, const Sampling& sampling, Reading& reading) {
  machine::SilentConsole console;
  machine::MachineConfig config;
  config.model = silicon::x86::find_cpu_model("icelake-server");
  const auto provider = virt::GuestProvider::add(virt::TraceOwner::kHost);
  if (!provider) return fail(name(provider.error()));
  auto machine = machine::Machine::create(config, console);
  if (!machine) return tl::unexpected(machine.error());
  if (const auto loaded = (*machine)->load({guest_path(guest.image), guest.arguments, {}}); !loaded)
    return tl::unexpected(loaded.error());
  std::unique_ptr<machine::Profiler> profiler;
  if (sampling.period != 0) {
    auto attached = machine::Profiler::attach(**machine, *provider, profile(sampling), reading);
    if (!attached) return tl::unexpected(attached.error());
    profiler = std::move(*attached);
  }
  const double begin = cpu_seconds();
  const machine::Outcome outcome = (*machine)->run({});
  const double seconds = cpu_seconds() - begin;
  if (outcome.reason != machine::Outcome::Reason::kDebugExit || outcome.value != 0)
    return fail("the guest ended with " + std::string{name(outcome.reason)});
  return seconds;
}

void sampled_guest(benchmark::State& state, const Guest& guest, const Sampling& sampling) {
  Reading reading;
  for (auto _ : state) {
    const auto seconds = run(guest, sampling, reading);
    if (!seconds) return state.SkipWithError(seconds.error().message.c_str());
    state.SetIterationTime(*seconds);
  }
  benchmark::DoNotOptimize(reading.sum);
  const auto each = [&](std::uint64_t count) {
    return reading.samples == 0 ? 0
                                : static_cast<double>(count) / static_cast<double>(reading.samples);
  };
  state.counters["samples"] =
      benchmark::Counter(static_cast<double>(reading.samples), benchmark::Counter::kAvgIterations);
  state.counters["frames"] = each(reading.frames);
  state.counters["branches"] = each(reading.branches);
}

constexpr Sampling kNone{}, kStacksRarely{100'000, true, false}, kStacksOften{10'000, true, false},
    kBranchesRarely{100'000, false, true}, kBranchesOften{10'000, false, true};

BENCHMARK_CAPTURE(sampled_guest, workload_not_sampled, kWorkload, kNone)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, workload_stacks_100000, kWorkload, kStacksRarely)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, workload_stacks_10000, kWorkload, kStacksOften)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, workload_branches_100000, kWorkload, kBranchesRarely)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, workload_branches_10000, kWorkload, kBranchesOften)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, deep_not_sampled, kDeep, kNone)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, deep_stacks_100000, kDeep, kStacksRarely)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, deep_stacks_10000, kDeep, kStacksOften)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, deep_branches_100000, kDeep, kBranchesRarely)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_guest, deep_branches_10000, kDeep, kBranchesOften)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
