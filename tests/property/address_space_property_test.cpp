// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a guest's memory slots, in lockstep with the
// reference. README.md beside this file says more.
#include "property/address_space_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  return vpmu::property::RandomSequences<vpmu::property::AddressSpaceLockstep>::main(
      "vpmu_address_space_property_test",
      "Compares memory slots with their reference on random sequences.",
      vpmu::property::address_space_setups(), argc, argv);
}
