// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a virtual PMUv3, on any setup, in lockstep with the reference.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/arm64_pmu_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vpmu;
  fuzz::LockstepInput<property::Arm64PmuLockstep>::run(property::arm64_pmu_setups(), {data, size});
  return 0;
}
