// SPDX-License-Identifier: MIT
#include "machine/machine_shape.hpp"

#include <string>

namespace vpmu::machine {

Result<void> check(const MachineShape& shape) {
  if (shape.vcpus == 0 || shape.vcpus > shape.most_vcpus) {
    return fail(std::to_string(shape.vcpus) + " vCPUs: give 1 to " +
                std::to_string(shape.most_vcpus) + " with --smp");
  }
  if (shape.host_cpus > kMaxHostCpus) {
    return fail(std::to_string(shape.host_cpus) + " host CPUs: give 1 to " +
                std::to_string(kMaxHostCpus) + " with --host-cpus");
  }
  if (shape.quantum == 0) return fail("quantum of 0 instructions: give at least 1 with --quantum");
  return {};
}

}  // namespace vpmu::machine
