// SPDX-License-Identifier: MIT
//
// Last branch records on a host: a resource of each host CPU's PMU that events compete for, like a
// counter.
//
// There is one unit per host CPU. Two kinds of events use it:
//
//   * events of the host with a `branch_type` (EventAttr): the host programs the unit for them and
//     reads it. Several can share it if they ask for the same branches.
//   * a guest's LBR event (kGuestLbrEvent): the host leaves the unit to the guest that the target
//     runs, and does not touch it while the event is active. At most one per host CPU. It counts
//     nothing and never overflows.
//
// The two do not fit beside each other; who gets the unit is decided as for counters, in the order
// of host_perf.hpp. So a pinned event of a host CPU takes the unit from a guest, whose event, being
// pinned, is then in error; a flexible one waits until the guest lets it go. (Linux lets an
// ordinary branch-stack event run beside a guest's, without branches.)
//
// The records of a task's events that ask for the call stack (kBranchCallStack) belong to the task:
// they are saved when it leaves the host CPU and put back when it comes again. A guest's LBR event
// asks for it, so that guests on one host CPU never see each other's records; its registers are
// kept also when the event loses the unit or is disabled, until it is closed. (Not those of a
// guest's LBR event whose target is a host CPU: they might be another guest's.) When the unit
// changes hands in any other way it is cleared: nobody reads what somebody else's branches left,
// and an event of the host sees what was recorded while it was active, no more.
//
// Saved are all records; if they are kept as a call stack, those up to the first whose FROM is 0.
#pragma once

#include <cstdint>
#include <optional>

#include "vpmu/base/access.hpp"
#include "vpmu/base/numbers.hpp"
#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/lbr_stack.hpp"

namespace vpmu::hostperf {

/// EventAttr::branch_type, numbered as perf's branch_sample_type. Of kBranchAny to kBranchCall at
/// least one, kBranchCallStack alone; kBranchUser and kBranchKernel: both if none is given.
/// Anything else is kNoSuchEvent, and so is what the host's LBRs cannot do.
inline constexpr std::uint32_t kBranchUser = 1u << 0, kBranchKernel = 1u << 1, kBranchAny = 1u << 3,
                               kBranchAnyCall = 1u << 4, kBranchAnyReturn = 1u << 5,
                               kBranchIndirectCall = 1u << 6, kBranchConditional = 1u << 10,
                               kBranchCallStack = 1u << 11, kBranchIndirectJump = 1u << 12,
                               kBranchCall = 1u << 13;

/// EventAttr::config of a guest's LBR event, with branch_type kBranchCallStack | kBranchUser:
/// "fixed counter 26", the bit of GLOBAL_STATUS that no counter has. kNoSuchEvent where there are
/// no LBRs that could keep a call stack, with another branch_type, or with a period; kBusy while
/// the unit is used for something else (tracing).
inline constexpr std::uint64_t kGuestLbrEvent = 0x1b00;
inline constexpr std::uint32_t kGuestLbrBranchType = kBranchCallStack | kBranchUser;

class LbrHost {
 public:
  /// What there is; depth 0: nothing.
  [[nodiscard]] virtual const silicon::x86::LbrModel& lbr_model() const = 0;

  /// RDMSR and WRMSR on the unit if `event`, a guest's LBR event, owns it at this moment: the test
  /// and the access are one. Empty: it does not. fault(): the register does not take that.
  virtual std::optional<Access> read_lbr(EventId event, MsrIndex msr) = 0;
  virtual std::optional<Access> write_lbr(EventId event, MsrIndex msr, std::uint64_t value) = 0;

  /// The guest's registers, wherever they are: in the unit, or put away because the event is not
  /// active. New events have them as after LbrStack's construction.
  [[nodiscard]] virtual silicon::x86::LbrState lbr_state(EventId event) const = 0;
  /// False, and nothing has changed: the registers cannot hold that.
  virtual bool set_lbr_state(EventId event, const silicon::x86::LbrState& state) = 0;

 protected:
  ~LbrHost() = default;
};

}  // namespace vpmu::hostperf
