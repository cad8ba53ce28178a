// SPDX-License-Identifier: MIT
//
// All of a virtual SPE that moves with its guest: Spe::save() and Spe::restore().
#pragma once

#include <cstdint>

#include "vpmu/silicon/arm64/spe_unit.hpp"
#include "vpmu/virt/arm64/spe_switch.hpp"

namespace vpmu::virt::arm64 {

/// KVM_ARM_VCPU_SPE_STOP.
enum class SpeStop : std::uint8_t {
  kRunning = 0,
  kTrap = 1,  ///< the guest believes that it profiles, and gets no records
  kExit = 2,  ///< the same, and it is not entered while it would profile
};

/// Only ever grows.
struct SpeExitStatistics {
  // Accesses of the guest.
  std::uint64_t control_traps = 0;         ///< to PMS*
  std::uint64_t buffer_traps = 0;          ///< to PMBLIMITR_EL1, PMBPTR_EL1, PMBSR_EL1
  std::uint64_t identification_traps = 0;  ///< to PMBIDR_EL1
  std::uint64_t direct = 0;                ///< to whichever, without a trap

  std::uint64_t events = 0;  ///< buffer management events of the unit; each is one of these:
  std::uint64_t full = 0;
  std::uint64_t misprogrammed = 0;  ///< SpeStatistics::misprogrammed
  std::uint64_t stage1_faults = 0;
  std::uint64_t external_aborts = 0;
  std::uint64_t replaced = 0;  ///< with a syndrome that a guest must not see

  std::uint64_t too_large = 0;    ///< buffers that were, by SpeVmConfig or SpeSink
  std::uint64_t unavailable = 0;  ///< buffers that were, by SpeSink
  std::uint64_t interrupts = 0;   ///< how often the line was asserted
  std::uint64_t refused = 0;      ///< entries

  friend bool operator==(const SpeExitStatistics&, const SpeExitStatistics&) = default;
};

struct SpeState {
  // Of the vCPU that was saved.
  silicon::arm64::SpeModel model{};
  std::uint64_t pmbidr = 0;
  bool has_feature = false;
  bool initialised = false;
  std::uint8_t irq = 0;  ///< 0: not set

  SpeStop stop = SpeStop::kRunning;
  bool host_has_unit = false;
  bool has_run = false;
  bool entered = false;
  bool asserted = false;  ///< the interrupt

  silicon::arm64::SpeUnitState guest{};  ///< registers that the unit does not have
  silicon::arm64::SpeUnitState unit{};   ///< the unit, but for what the host has in it
  SpeWorldSwitch::Place place{};
  SpeSwitchStatistics switches{};
  SpeExitStatistics exits{};

  friend bool operator==(const SpeState&, const SpeState&) = default;
};

}  // namespace vpmu::virt::arm64
