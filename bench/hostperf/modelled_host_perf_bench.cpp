// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include "bench/support/modelled_perf.hpp"

namespace vpmu::bench {

namespace {

class Ignore final : public hostperf::OverflowHandler {
 public:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}
};

constexpr hostperf::EventAttr kInstructions{.config = 0x00c0, .period = 1ULL << 40};

struct CountingEvent : ModelledPerf {
  Ignore handler;
  hostperf::EventId event =
      *perf.open(kInstructions, hostperf::Target::of(hostperf::VcpuIndex{0}), handler);
  CountingEvent() { perf.enable(event); }
};

void read(benchmark::State& state) {
  CountingEvent counting;
  for (auto _ : state) {
    counting.retire(1);
    benchmark::DoNotOptimize(counting.perf.read(counting.event));
  }
}
BENCHMARK(read)->Name("host_perf/read");

void pause_and_resume(benchmark::State& state) {
  CountingEvent counting;
  for (auto _ : state) {
    counting.perf.pause(counting.event);
    counting.perf.set_period(counting.event, 1ULL << 40);
    counting.perf.resume(counting.event);
  }
}
BENCHMARK(pause_and_resume)->Name("host_perf/pause_set_period_resume");

void disable_and_enable(benchmark::State& state) {
  CountingEvent counting;
  for (auto _ : state) {
    counting.perf.disable(counting.event);
    counting.perf.enable(counting.event);
  }
}
BENCHMARK(disable_and_enable)->Name("host_perf/disable_enable");

void open_and_close(benchmark::State& state) {
  ModelledPerf modelled;
  Ignore handler;
  for (auto _ : state) {
    const auto event =
        modelled.perf.open(kInstructions, hostperf::Target::of(hostperf::VcpuIndex{0}), handler);
    modelled.perf.close(*event);
  }
}
BENCHMARK(open_and_close)->Name("host_perf/open_close");

}  // namespace
}  // namespace vpmu::bench
