// SPDX-License-Identifier: MIT
//
// What a guest's access to its PMU costs from the exit to the entry, with four counters counting:
// the CPU around it (ending the block, finding the next one) is not in these numbers. Each also
// reports the allocations that it made while it was measured.
#include "vpmu/virt/x86/pmu.hpp"

#include <benchmark/benchmark.h>

#include "bench/support/modelled_perf.hpp"
#include "bench/support/pmu_access.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::bench {

namespace {

namespace msr = silicon::x86::msr;

constexpr unsigned kCounters = 4;
constexpr std::uint64_t kOn = (1 << kCounters) - 1;

/// EN, INT, OS and USR of an event.
constexpr std::uint64_t select(std::uint64_t event) {
  return 0x53'0000 | event;
}

constexpr MsrIndex nth(MsrIndex first, unsigned n) {
  return static_cast<MsrIndex>(raw(first) + n);
}

struct CountingPmu : ModelledPerf {
  AcceptingSink sink;
  virt::x86::Pmu pmu{virt::x86::guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};

  CountingPmu() {
    constexpr std::uint64_t kEvents[kCounters] = {0x00c0, 0x003c, 0x00c4, 0x81d0};
    for (unsigned i = 0; i < kCounters; ++i) {
      write(nth(msr::IA32_A_PMC0, i), 1ULL << 40);
      write(nth(msr::IA32_PERFEVTSEL0, i), select(kEvents[i]));
    }
    write(msr::IA32_PERF_GLOBAL_CTRL, kOn);
  }

  void write(MsrIndex index, std::uint64_t value) {
    const Access access = pmu.write_msr(index, value, Initiator::kGuest);
    benchmark::DoNotOptimize(access.is_done());
    pmu.before_entry();
  }
  void read(MsrIndex index) {
    const Access access = pmu.read_msr(index, Initiator::kGuest);
    benchmark::DoNotOptimize(access.value());
  }
};

void rdpmc(benchmark::State& state) {
  CountingPmu counting;
  std::uint32_t ecx = 0;
  measure(state, [&] {
    counting.retire(1);
    const Access access = counting.pmu.rdpmc(ecx, true);
    benchmark::DoNotOptimize(access.value());
    ecx = (ecx + 1) % kCounters;
  });
}
BENCHMARK(rdpmc)->Name("pmu/rdpmc");

void rdmsr_counter(benchmark::State& state) {
  CountingPmu counting;
  measure(state, [&] { counting.read(msr::IA32_PMC0); });
}
BENCHMARK(rdmsr_counter)->Name("pmu/rdmsr_counter");

void rdmsr_status(benchmark::State& state) {
  CountingPmu counting;
  measure(state, [&] { counting.read(msr::IA32_PERF_GLOBAL_STATUS); });
}
BENCHMARK(rdmsr_status)->Name("pmu/rdmsr_status");

void wrmsr_counter(benchmark::State& state) {
  CountingPmu counting;
  measure(state, [&] { counting.write(msr::IA32_A_PMC0, 1ULL << 40); });
}
BENCHMARK(wrmsr_counter)->Name("pmu/wrmsr_counter");

void wrmsr_event_select(benchmark::State& state) {
  CountingPmu counting;
  measure(state, [&] {
    counting.write(msr::IA32_PERFEVTSEL0, select(0x00c4));
    counting.write(msr::IA32_PERFEVTSEL0, select(0x00c0));
  });
  state.SetItemsProcessed(2 * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(wrmsr_event_select)->Name("pmu/wrmsr_event_select");

/// Stops and starts all four.
void wrmsr_global_control(benchmark::State& state) {
  CountingPmu counting;
  measure(state, [&] {
    counting.write(msr::IA32_PERF_GLOBAL_CTRL, 0);
    counting.write(msr::IA32_PERF_GLOBAL_CTRL, kOn);
  });
  state.SetItemsProcessed(2 * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(wrmsr_global_control)->Name("pmu/wrmsr_global_control");

/// A sampling period: overflow, PMI, and what a guest's handler writes.
void overflow(benchmark::State& state) {
  constexpr std::uint64_t kPeriod = 10'000, kWidth = 48;
  CountingPmu counting;
  measure(state, [&] {
    counting.write(msr::IA32_A_PMC0, (1ULL << kWidth) - kPeriod);
    counting.retire(kPeriod);
    counting.deadlines.fire_due();
    counting.pmu.before_entry();
    counting.write(msr::IA32_PERF_GLOBAL_OVF_CTRL, 1);
  });
}
BENCHMARK(overflow)->Name("pmu/overflow");

}  // namespace
}  // namespace vpmu::bench
