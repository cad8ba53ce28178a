// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a vCPU with SPE, on every setup, in lockstep
// with the reference. README.md beside this file says more.
#include "property/random_sequences.hpp"
#include "property/spe_lockstep.hpp"

int main(int argc, char** argv) {
  using namespace vpmu::property;
  return RandomSequences<SpeLockstep>::main(
      "vpmu_spe_property_test", "Compares the virtual SPE with its reference on random sequences.",
      spe_setups(), argc, argv);
}
