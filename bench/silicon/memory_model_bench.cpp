// SPDX-License-Identifier: MIT
//
// What an access costs more while cache or TLB misses are counted.
#include <benchmark/benchmark.h>

#include "vpmu/silicon/memory_model.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::bench {

namespace {

/// Loads `lines` lines, `stride` bytes apart, over and over.
void memory_model(benchmark::State& state, std::uint64_t lines, std::uint64_t stride) {
  const silicon::MemoryHierarchy& hierarchy =
      silicon::x86::find_cpu_model("icelake-server")->memory;
  silicon::RetireTotals totals;
  silicon::LruSets llc{hierarchy.llc.sets, hierarchy.llc.ways};
  silicon::MemoryModel model{hierarchy, llc, totals};
  std::uint64_t line = 0;
  const auto step = [&] {
    model.see({line * stride, line * stride, 8, false, silicon::Privilege::kUser});
    line = line + 1 == lines ? 0 : line + 1;
  };
  for (std::uint64_t n = 0; n < lines; ++n) step();
  const auto misses = [&] {
    return static_cast<double>(totals.read(silicon::RawEvent::kLlcMisses, {true, true}));
  };
  const double before = misses();
  for (auto _ : state) step();
  state.counters["misses"] =
      benchmark::Counter(misses() - before, benchmark::Counter::kAvgIterations);
}
BENCHMARK_CAPTURE(memory_model, first_level_hits, 16, 64);
BENCHMARK_CAPTURE(memory_model, last_level_hits, 1 << 17, 64);
BENCHMARK_CAPTURE(memory_model, misses, 1 << 20, 4096 + 64);

}  // namespace
}  // namespace vpmu::bench
