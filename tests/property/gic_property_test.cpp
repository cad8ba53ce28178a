// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a GIC, for one vCPU and for several, in
// lockstep with the reference. README.md beside this file says more.
#include "property/gic_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::GicLockstep>::main(
      "vpmu_gic_property_test", "Compares the GIC with its reference on random sequences.",
      vpmu::property::gic_setups(), argc, argv);
}
