// SPDX-License-Identifier: MIT
//
// The floors below a virtual PMU, for one vCPU that retires what the benchmark says.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::bench {

struct ModelledPerf {
  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  hostperf::ModelledHostPerf perf{model, std::array{hostperf::ModelledVcpu{&totals, &deadlines}}};

  void retire(std::uint64_t instructions) {
    totals.add(silicon::RawEvent::kInstructions, silicon::Privilege::kKernel, instructions);
    totals.add(silicon::RawEvent::kCycles, silicon::Privilege::kKernel, instructions);
  }
};

}  // namespace vpmu::bench
