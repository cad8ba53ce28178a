// SPDX-License-Identifier: MIT
//
// An independent counter: the instructions of one function, counted by the guest's own PMU and by
// callgrind in an ordinary process made from the same object file. Not a measurement of time.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/support/build_files.hpp"
#include "bench/support/child.hpp"

namespace vpmu::bench {

namespace {

Result<double> counted_by_guest() {
  const auto run = run_child({vpmu_path(), "run", guest_path("static_count")});
  if (!run) return tl::unexpected(run.error());
  return number_behind(run->output, "instructions ");
}

Result<double> counted_by_callgrind() {
  const auto run =
      run_child({"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                 "--toggle-collect=static_computation", process_path("static_computation")});
  if (!run) return tl::unexpected(run.error());
  return number_behind(run->output, "Collected");
}

void static_count(benchmark::State& state) {
  if (!in_path("valgrind")) return state.SkipWithError("valgrind is not installed");
  for (auto _ : state) {
    const auto guest = counted_by_guest();
    const auto callgrind = counted_by_callgrind();
    if (!guest) return state.SkipWithError(("guest: " + guest.error().message).c_str());
    if (!callgrind) return state.SkipWithError(("callgrind: " + callgrind.error().message).c_str());
    state.counters["guest_instructions"] = *guest;
    state.counters["callgrind_instructions"] = *callgrind;
    state.counters["difference"] = *guest - *callgrind;
    if (*guest != *callgrind) return state.SkipWithError("guest and callgrind disagree");
  }
}
BENCHMARK(static_count)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vpmu::bench
