// SPDX-License-Identifier: MIT
//
// What can happen to two vCPUs' last branch records, one operation at a time. An operation holds
// all it needs, so that a sequence can be cut down and still means the same.
#pragma once

#include <cstdint>
#include <string>

#include "property/choices.hpp"
#include "property/guest_lbr_setups.hpp"

namespace vpmu::property {

struct LbrOperation {
  enum class Kind : std::uint8_t {
    // Of vCPU `who`, which is put onto a host CPU first where it has to run.
    kReadMsr,       ///< where: MSR
    kWriteMsr,      ///< where: MSR; value
    kHostReadMsr,   ///< where: MSR
    kHostWriteMsr,  ///< where: MSR; value
    kBranches,      ///< where: how many; value: which
    kPmi,           ///< a counter overflows
    kSwitchIn,      ///< where: host CPU
    kSwitchOut,
    kDamage,  ///< its state with field `where` changed by `value`, restored elsewhere
    kReset,
    // Of the host; `who` is the host CPU, or the slot of an event.
    kHostBranches,  ///< where: how many; value: which
    kTick,
    kTrace,      ///< where: 1 to begin
    kOpenEvent,  ///< value: which, see HostEventRequest
    kEnableEvent,
    kDisableEvent,
    kCloseEvent,
    kMigrate,  ///< both vCPUs, to a host of `where` CPUs, with none of the host's events
  };
  Kind kind;
  std::uint8_t who = 0;
  std::uint32_t where = 0;
  std::uint64_t value = 0;
};

LbrOperation draw_operation(Choices& choices, const GuestLbrSetup& setup);
std::string describe(const LbrOperation& operation);

}  // namespace vpmu::property
