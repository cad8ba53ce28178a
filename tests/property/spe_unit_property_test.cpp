// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a unit of the Statistical Profiling Extension,
// in lockstep with the reference. README.md beside this file says more.
#include "property/random_sequences.hpp"
#include "property/spe_unit_lockstep.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::SpeUnitLockstep>::main(
      "vpmu_spe_unit_property_test",
      "Compares the SPE unit with its reference on random sequences.",
      vpmu::property::spe_unit_setups(), argc, argv);
}
