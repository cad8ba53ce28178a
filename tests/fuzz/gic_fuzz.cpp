// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a GIC, for one vCPU or several, in lockstep with the
// reference.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/gic_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vpmu::fuzz::LockstepInput<vpmu::property::GicLockstep>::run(vpmu::property::gic_setups(),
                                                              {data, size});
  return 0;
}
