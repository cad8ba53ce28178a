// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a virtual PMU, on every setup, in lockstep with
// the reference. README.md beside this file says more.
#include "property/lockstep.hpp"
#include "property/random_sequences.hpp"
#include "property/setups.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::Lockstep>::main(
      "vpmu_pmu_property_test", "Compares the virtual PMU with its reference on random sequences.",
      vpmu::property::setups(), argc, argv);
}
