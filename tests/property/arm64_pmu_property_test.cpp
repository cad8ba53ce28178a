// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can happen to a virtual PMUv3, on every setup, in lockstep
// with the reference. README.md beside this file says more.
#include "property/arm64_pmu_lockstep.hpp"
#include "property/random_sequences.hpp"

int main(int argc, char** argv) {
  using namespace vpmu::property;
  return RandomSequences<Arm64PmuLockstep>::main(
      "vpmu_arm64_pmu_property_test",
      "Compares the virtual PMUv3 with its reference on random sequences.", arm64_pmu_setups(),
      argc, argv);
}
