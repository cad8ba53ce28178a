// SPDX-License-Identifier: MIT
//
// From guest bytes to blocks: what code costs when it runs for the first time.
#include "machine/x86/decoder.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/machine/x86/bare_cpu.hpp"
#include "machine/x86/block_cache.hpp"

// The linker's: the end of this program's code.
extern "C" const char __etext;

namespace vpmu::bench {

namespace {

namespace x86 = machine::x86;

/// What a compiler emits, of which this program has enough itself.
std::span<const std::uint8_t> sample_code() {
  constexpr std::size_t kBytes = 256 << 10;
  const auto end = reinterpret_cast<std::uintptr_t>(&__etext);
  return {reinterpret_cast<const std::uint8_t*>(end - kBytes), kBytes};
}

void decode_block(benchmark::State& state) {
  BareCpu bare;
  const auto code = sample_code();
  bare.write(BareCpu::kFree, code);
  x86::Core& core = bare.core();
  x86::Decoder decoder;
  x86::BlockCache cache;
  std::uint64_t instructions = 0, at = 0;
  for (auto _ : state) {
    if (cache.full() || at + 4096 > code.size()) {
      cache.clear();
      at = 0;
    }
    core.rip = BareCpu::kFree + at;
    const x86::Block* block = decoder.decode(core, cache, core.mode, core.rip);
    if (block == nullptr) return state.SkipWithError("code that cannot be fetched");
    for (unsigned n = 0; n < block->op_count; ++n) instructions += block->records[n].instructions;
    at += std::max<std::uint64_t>(block->byte_length, 1);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(instructions));
  state.counters["instructions_per_block"] =
      benchmark::Counter(static_cast<double>(instructions), benchmark::Counter::kAvgIterations);
}
BENCHMARK(decode_block);

}  // namespace
}  // namespace vpmu::bench
