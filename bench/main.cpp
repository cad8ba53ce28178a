// SPDX-License-Identifier: MIT
//
// vpmu_bench: Google Benchmark with its own options; `bench/measure` runs it as the published
// numbers were made. Started with kGuestMemoryOption it is one of its own children.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "bench/machine/guest_run.hpp"

int main(int argc, char** argv) {
  if (argc == 5 && std::string{argv[1]} == vpmu::bench::kGuestMemoryOption) {
    return vpmu::bench::run_and_print_memory(argv[2], std::strtoull(argv[3], nullptr, 10), argv[4]);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
