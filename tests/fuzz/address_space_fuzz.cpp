// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to a guest's memory slots and their locks, in lockstep with the
// reference.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/address_space_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vpmu::fuzz::LockstepInput<vpmu::property::AddressSpaceLockstep>::run(
      vpmu::property::address_space_setups(), {data, size});
  return 0;
}
