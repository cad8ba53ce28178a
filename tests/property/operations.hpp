// SPDX-License-Identifier: MIT
//
// What can happen to a virtual PMU, one operation at a time. An operation holds all it needs, so
// that a sequence can be cut down and still means the same.
#pragma once

#include <cstdint>
#include <string>

#include "property/choices.hpp"
#include "property/setups.hpp"

namespace vpmu::property {

struct Operation {
  enum class Kind : std::uint8_t {
    kReadMsr,       ///< where: MSR
    kWriteMsr,      ///< where: MSR; value
    kHostReadMsr,   ///< where: MSR
    kHostWriteMsr,  ///< where: MSR; value
    kRdpmc,         ///< where: ECX; flag: may read
    kRetire,        ///< where: instructions; value: what they are; flag: at user privilege
    kEmulated,      ///< where: 1 for a branch; flag: at user privilege
    kScheduledIn,
    kReset,
    kSvm,      ///< where: bit 0 EFER.SVME, bit 1 guest mode
    kGate,     ///< value: which events are admitted, 0 for all; flag: a new gate object
    kLvtpc,    ///< where: virt::x86::PmiOutcome
    kRestore,  ///< on a PMU of its own; flag: right behind an instruction, which `value` is
  };
  Kind kind;
  bool flag = false;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
};

Operation draw_operation(Choices& choices, const Setup& setup);

/// One line of C++-like text.
std::string describe(const Operation& operation);

}  // namespace vpmu::property
