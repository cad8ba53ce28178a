// SPDX-License-Identifier: MIT
//
// For benchmarks of what a guest's accesses cost: they may not allocate, and their PMIs arrive.
#pragma once

#include <benchmark/benchmark.h>

#include "bench/support/allocations.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"

namespace vpmu::bench {

class AcceptingSink final : public virt::x86::PmiSink {
 public:
  virt::x86::PmiOutcome raise_pmi(virt::x86::LvtpcAfterPmi) override {
    return virt::x86::PmiOutcome::kDelivered;
  }
  void request_entry_work() override {}
};

/// Measures `access` again and again; none of it may allocate.
template <class Function>
void measure(benchmark::State& state, Function access) {
  const std::uint64_t before = allocations();
  for (auto _ : state) access();
  state.counters["allocations"] = static_cast<double>(allocations() - before);
}

}  // namespace vpmu::bench
