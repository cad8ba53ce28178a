// SPDX-License-Identifier: MIT
//
// The flattened device tree by which an arm64 guest learns what machine it is on. Addresses and
// interrupts are those of machine/arm64_map.hpp. Sources: Devicetree Specification 0.4, and the
// bindings of the devices (arm,gic-v3, arm,armv8-timer, arm,pl011, arm,psci, arm,armv8-pmuv3).
// "vpmu,exit" is our own: a device of one 32-bit register; a write of it ends the run with that
// value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine::boot {

/// What the tree says about the board that is not the same for all.
struct DeviceTreeBoard {
  unsigned vcpus = 1;                   ///< MPIDR affinity 0 to vcpus - 1
  std::string cpu = "arm,neoverse-n1";  ///< what the CPUs are compatible with
  bool pmu = true;                      ///< they have one
  bool spe = false;                     ///< and statistical profiling
};

/// The part that whoever starts the guest chooses.
struct DeviceTreeChoice {
  std::string command_line;
  std::uint64_t initrd_begin = 0;
  std::uint64_t initrd_end = 0;  ///< 0: there is none
};

/// Fails only for a command line that is too long: a tree has at most 2 MiB.
Result<std::vector<std::uint8_t>> device_tree(const DeviceTreeBoard& board,
                                              const GuestMemory& memory,
                                              const DeviceTreeChoice& choice);

}  // namespace vpmu::machine::boot
