// SPDX-License-Identifier: MIT
//
// Page walks by themselves, and loads of guest code that hit and miss the software TLB.
#include "machine/x86/mmu.hpp"

#include <benchmark/benchmark.h>

#include <vector>

#include "bench/machine/x86/bare_cpu.hpp"

namespace vpmu::bench {

namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kPages = 4096;
constexpr std::uint64_t kCode = BareCpu::kFree, kData = 2 * BareCpu::kFree;

/// Walks pages one after another: `base` is where they are mapped.
void page_walk(benchmark::State& state, std::uint64_t base) {
  BareCpu bare;
  std::uint64_t page = 0;
  for (auto _ : state) {
    const std::uint64_t linear = base + kData + page % kPages * 4096;
    const x86::Walk walk =
        x86::walk(bare.core(), linear, x86::MemoryUse::kRead, x86::Requester::kSupervisor);
    benchmark::DoNotOptimize(walk.physical);
    ++page;
  }
}
BENCHMARK_CAPTURE(page_walk, 4KiB, 0);
BENCHMARK_CAPTURE(page_walk, 2MiB, BareCpu::kLarge);

/// Guest code: RCX times a load from RSI, which then advances by `stride`; then HLT.
std::vector<std::uint8_t> load_loop(std::uint32_t stride) {
  std::vector<std::uint8_t> code = {0x48, 0x8b, 0x06, 0x48, 0x81, 0xc6};  // mov (%rsi),%rax; add
  for (unsigned byte = 0; byte < 4; ++byte)
    code.push_back(static_cast<std::uint8_t>(stride >> 8 * byte));
  for (const int byte : {0x48, 0x83, 0xe9, 0x01, 0x75, 0xf0, 0xf4})  // sub $1,%rcx; jnz; hlt
    code.push_back(static_cast<std::uint8_t>(byte));
  return code;
}

void guest_loads(benchmark::State& state, std::uint32_t stride) {
  BareCpu bare;
  bare.write(kCode, load_loop(stride));
  x86::Core& core = bare.core();
  for (auto _ : state) {
    core.rip = kCode;
    core.gpr[x86::kRsi] = kData;
    core.gpr[x86::kRcx] = kPages;
    core.halted = false;
    if (bare.cpu().run(~std::uint64_t{0}, ~std::uint64_t{0}) != x86::Cpu::Exit::kHalted)
      return state.SkipWithError("the guest's loop did not end");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kPages));
}
BENCHMARK_CAPTURE(guest_loads, tlb_hits, 8);
BENCHMARK_CAPTURE(guest_loads, tlb_misses, 4096);

}  // namespace
}  // namespace vpmu::bench
