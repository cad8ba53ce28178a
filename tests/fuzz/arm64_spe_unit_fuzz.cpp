// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a unit of the Statistical Profiling Extension, on any setup,
// in lockstep with the reference and with what must hold of its writes.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/spe_unit_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vpmu;
  fuzz::LockstepInput<property::SpeUnitLockstep>::run(property::spe_unit_setups(), {data, size});
  return 0;
}
