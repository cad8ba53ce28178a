// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to PV perf, on every setup, in lockstep with the
// reference. README.md beside this file says more.
#include "property/pv_perf_lockstep.hpp"
#include "property/pv_perf_setups.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::PvPerfLockstep>::main(
      "vpmu_pv_perf_property_test", "Compares PV perf with its reference on random sequences.",
      vpmu::property::pv_perf_setups(), argc, argv);
}
