// SPDX-License-Identifier: MIT
//
// What can happen to a virtual PMUv3, one operation at a time. An operation holds all it needs, so
// that a sequence can be cut down and still means the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "property/choices.hpp"
#include "property/reference_arm64_pmu.hpp"

namespace vpmu::property {

struct Arm64PmuOperation {
  enum class Kind : std::uint8_t {
    kRead,       ///< where: register; flag: at EL0
    kWrite,      ///< where: register; value; flag: at EL0
    kHostRead,   ///< where: register
    kHostWrite,  ///< where: register; value
    kRetire,     ///< where: instructions; value: what they are; flag: at EL0
    kScheduledIn,
    kReset,
    kGate,     ///< value: the gate's key; flag: the gate is set anew
    kRestore,  ///< on a PMU of its own; flag: right behind an instruction
  };
  Kind kind;
  bool flag = false;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
};

/// Every register of PMUv3, some counters that need not exist, and some that are nobody's.
std::span<const std::uint32_t> arm64_pmu_registers();
std::span<const Arm64PmuSetup> arm64_pmu_setups();

/// What the instructions of a kRetire do, each.
Arm64Counts counts_of(const Arm64PmuOperation& operation);

Arm64PmuOperation draw_operation(Choices& choices, const Arm64PmuSetup& setup);
std::string describe(const Arm64PmuOperation& operation);

}  // namespace vpmu::property
