// SPDX-License-Identifier: MIT
//
// What a machine takes beyond the guest RAM that its guest touches: the peak resident size of a
// process that does nothing but run it, less the resident part of guest RAM at the end.
#include <benchmark/benchmark.h>

#include "bench/machine/guest_run.hpp"

namespace vpmu::bench {

namespace {

void beyond_guest_ram(benchmark::State& state, const char* guest, std::uint64_t mib,
                      const char* arguments) {
  MemoryUse use;
  for (auto _ : state) {
    const auto measured = measure_memory(guest, mib, arguments);
    if (!measured) {
      state.SkipWithError(measured.error().message.c_str());
      return;
    }
    use = *measured;
  }
  constexpr double kMiB = 1 << 20;
  state.counters["beyond_guest_MiB"] = (use.peak_bytes - use.guest_bytes) / kMiB;
  state.counters["guest_MiB"] = use.guest_bytes / kMiB;
}

BENCHMARK_CAPTURE(beyond_guest_ram, smallest_128M, "smallest", 128, "")->Iterations(1);
BENCHMARK_CAPTURE(beyond_guest_ram, smallest_16G, "smallest", 16384, "")->Iterations(1);
BENCHMARK_CAPTURE(beyond_guest_ram, workload_128M, "workload", 128, "rounds=2")->Iterations(1);

}  // namespace
}  // namespace vpmu::bench
