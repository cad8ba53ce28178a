// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to the last branch records of two vCPUs, on every
// setup, in lockstep with what must hold. README.md beside this file says more.
#include "property/guest_lbr_setups.hpp"
#include "property/lbr_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::LbrLockstep>::main(
      "vpmu_lbr_property_test",
      "Compares guests' last branch records with what they must be, on random sequences.",
      vpmu::property::guest_lbr_setups(), argc, argv);
}
