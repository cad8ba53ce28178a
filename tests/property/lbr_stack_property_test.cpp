// SPDX-License-Identifier: MIT
//
// Random register accesses and branches, on every kind of last branch records, in lockstep with the
// reference. README.md beside this file says more.
#include "property/lbr_setups.hpp"
#include "property/lbr_stack_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::LbrStackLockstep>::main(
      "vpmu_lbr_stack_property_test",
      "Compares last branch records with their reference on random sequences.",
      vpmu::property::lbr_setups(), argc, argv);
}
