// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a vCPU with SPE, on any setup, in lockstep with the reference.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/spe_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vpmu;
  fuzz::LockstepInput<property::SpeLockstep>::run(property::spe_setups(), {data, size});
  return 0;
}
