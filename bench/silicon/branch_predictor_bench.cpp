// SPDX-License-Identifier: MIT
//
// What a branch costs more while mispredictions are counted.
#include <benchmark/benchmark.h>

#include "vpmu/silicon/branch_predictor.hpp"

namespace vpmu::bench {

namespace {

using silicon::BranchPredictor;
using silicon::PredictedKind;

/// `every`: one in so many of the branches is not taken; 1: all are decided by a coin.
void predict_conditional(benchmark::State& state, unsigned every) {
  BranchPredictor predictor;
  std::uint64_t random = 1, wrong = 0, n = 0;
  for (auto _ : state) {
    random = random * 6364136223846793005 + 1442695040888963407;
    ++n;
    const bool taken = every == 1 ? random >> 63 != 0 : n % every != 0;
    const std::uint64_t from = 0x1000 + n % 64 * 16;
    wrong += predictor.predict_and_train(
        {PredictedKind::kConditional, taken, from, from + 2, taken ? from + 64 : from + 2});
  }
  state.counters["wrong"] =
      benchmark::Counter(static_cast<double>(wrong), benchmark::Counter::kAvgIterations);
}
BENCHMARK_CAPTURE(predict_conditional, regular, 8);
BENCHMARK_CAPTURE(predict_conditional, random, 1);

}  // namespace
}  // namespace vpmu::bench
