// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a virtual PMU, on any setup, in lockstep with the reference.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/lockstep.hpp"
#include "property/setups.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vpmu::fuzz::LockstepInput<vpmu::property::Lockstep>::run(vpmu::property::setups(), {data, size});
  return 0;
}
