// SPDX-License-Identifier: MIT
//
// Any sequence of what can happen to PV perf, on any setup, in lockstep with the reference:
// registers, the page and BATCH, hypercalls and their structures, with other vCPUs that scribble
// over both, hosts that take counters away and refuse events, filters that change, moves between
// host CPUs, and migration, also to another CPU model.
#include <cstddef>
#include <cstdint>

#include "fuzz/lockstep_fuzz.hpp"
#include "property/pv_perf_lockstep.hpp"
#include "property/pv_perf_setups.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vpmu::fuzz::LockstepInput<vpmu::property::PvPerfLockstep>::run(vpmu::property::pv_perf_setups(),
                                                                 {data, size});
  return 0;
}
