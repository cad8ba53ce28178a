// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to two vCPUs' last branch records and their host, on any setup,
// in lockstep with what must hold.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/guest_lbr_setups.hpp"
#include "property/lbr_lockstep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vpmu::fuzz::LockstepInput<vpmu::property::LbrLockstep>::run(vpmu::property::guest_lbr_setups(),
                                                              {data, size});
  return 0;
}
