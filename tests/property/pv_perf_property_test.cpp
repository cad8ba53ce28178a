// SPDX-License-Identifier: MIT
#include "property/pv_perf_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::PvPerfLockstep>::main(
      "vpmu_pv_perf_property_test", "PV perf against a reference, on random sequences",
      vpmu::property::pv_perf_setups(), argc, argv);
}
