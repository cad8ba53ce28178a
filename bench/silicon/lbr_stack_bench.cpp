// SPDX-License-Identifier: MIT
//
// What a taken branch costs more while it goes into the last branch records.
#include <array>

#include <benchmark/benchmark.h>

#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::bench {

namespace {

using silicon::x86::BranchType;
using silicon::x86::LbrStack;
using silicon::x86::TakenBranch;
namespace msr = silicon::x86::msr;

/// A program's branches: every third a call, every third the return from it.
std::array<TakenBranch, 96> some_branches() {
  constexpr BranchType kTypes[] = {BranchType::kDirectCall, BranchType::kConditional,
                                   BranchType::kReturn};
  std::array<TakenBranch, 96> branches;
  std::uint64_t cycle = 0;
  for (std::size_t n = 0; n < branches.size(); ++n) {
    const std::uint64_t from = 0x401000 + n * 32;
    cycle += 5 + n % 7;
    branches[n] = {.from = from,
                   .to = from + 0x1000,
                   .next = from + 5,
                   .cycle = cycle,
                   .type = kTypes[n % std::size(kTypes)],
                   .ends_in = silicon::Privilege::kUser,
                   .mispredicted = n % 8 == 0};
  }
  return branches;
}

/// `filter`: LBR_SELECT or IA32_LBR_CTL.
void lbr_record(benchmark::State& state, const char* model, std::uint64_t filter) {
  LbrStack stack{silicon::x86::find_cpu_model(model)->lbr};
  const MsrIndex select = stack.model().architectural() ? msr::IA32_LBR_CTL : msr::MSR_LBR_SELECT;
  ensure(stack.write(select, filter));
  const auto branches = some_branches();
  for (auto _ : state) {
    for (const TakenBranch& branch : branches) stack.record(branch);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(branches.size()));
}
BENCHMARK_CAPTURE(lbr_record, format_5, "skylake-server", 0x000);
BENCHMARK_CAPTURE(lbr_record, format_5_call_stack, "skylake-server", 0x3c5);
BENCHMARK_CAPTURE(lbr_record, format_5_filtered, "skylake-server", 0x1ff);
BENCHMARK_CAPTURE(lbr_record, architectural, "sapphire-rapids", 0x7f'0007);
BENCHMARK_CAPTURE(lbr_record, architectural_call_stack, "sapphire-rapids", 0x38'000d);

}  // namespace
}  // namespace vpmu::bench
