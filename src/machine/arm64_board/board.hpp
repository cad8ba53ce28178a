// SPDX-License-Identifier: MIT
//
// What all vCPUs of an arm64 machine share: memory, time, the bus and devices, wired up. Where each
// device is and which interrupt it has is said by its own header; guests learn it from the device
// tree.
#pragma once

#include <cstdint>

#include "machine/arm64/cluster.hpp"
#include "machine/bus.hpp"
#include "machine/clock.hpp"
#include "machine/devices/exit_device.hpp"
#include "machine/devices/gic_distributor.hpp"
#include "machine/devices/machine_control.hpp"
#include "machine/devices/pl011.hpp"
#include "machine/devices/psci.hpp"
#include "machine/devices/semihosting.hpp"
#include "machine/guest_memory.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/silicon/arm64/cpu_model.hpp"
#include "vpmu/silicon/memory_model.hpp"

namespace vpmu::machine::arm64 {

/// Everything of a board but its memory. PSCI, semihosting and the exit device have no state; what
/// of the interrupt controller is a vCPU's own is in the vCPU's.
struct BoardState {
  std::uint64_t now = 0;  ///< machine time in cycles
  GicDistributor::State distributor;
  Pl011::State pl011;
  friend bool operator==(const BoardState&, const BoardState&) = default;
};

/// The machine, as far as its devices can tell.
struct BoardControl {
  MachineControl* machine;
  PowerControl* power;  ///< of vCPUs
};

struct Board {
  /// `control`'s and `console` must outlive the board.
  Board(GuestMemory ram, const silicon::arm64::CpuModel& model, unsigned vcpus,
        const BoardControl& control, ByteSink& console);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  [[nodiscard]] BoardState save() const;
  /// After all redistributors are connected.
  Result<void> restore(const BoardState& state);

  GuestMemory memory;
  Cluster cluster;
  silicon::LruSets last_level_cache;
  Clock clock;
  Bus bus{0};
  GicDistributor distributor;
  Pl011 pl011;
  ExitDevice exit_device;
  Psci psci;
  Semihosting semihosting;
};

}  // namespace vpmu::machine::arm64
