// SPDX-License-Identifier: MIT
//
// Conditions on cycles: what CMASK, INV and EDGE of an event select count. "At least `threshold`
// occurrences of the event in this cycle", at a privilege; counted are the cycles in which that is
// true (or, inverted, false), or the times at which it becomes so.
//
// The modelled core retires one instruction after the other. Of an instruction that takes k cycles
// and in which an event occurs n times, the last n cycles have one occurrence each if n <= k;
// otherwise every cycle has n / k and the last n % k have one more. Halted cycles do not exist:
// conditions are false across them.
//
// A condition takes one of the vCPU's slots while it is counted, and its count is the total of
// condition_event(slot). While any slot is taken, the CPU calls passed() after every instruction
// and every delivered event; otherwise there is no cost.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon {

struct CycleCondition {
  RawEvent event = RawEvent::kCycles;        ///< a named one
  std::uint8_t threshold = 1;                ///< CMASK; not 0
  bool inverted = false;                     ///< INV: true if there are fewer
  bool edge = false;                         ///< EDGE: count how often it becomes true
  PrivilegeSet privileges = kAllPrivileges;  ///< elsewhere it is false, INV or not
};

class CycleConditions {
 public:
  explicit CycleConditions(RetireTotals& totals) : totals_{totals} {}

  /// Starts to watch; the totals of the event it gives then count it, under whatever privilege the
  /// counted cycle had (read it over kAllPrivileges). The condition was false before. Empty if no
  /// slot is free.
  std::optional<RawEvent> watch(const CycleCondition& condition);
  void unwatch(RawEvent event);
  [[nodiscard]] bool any() const { return taken_ != 0; }

  /// For the CPU: one instruction retired, or one event was delivered, at `privilege`, since the
  /// last call. Reads what that added from the totals.
  void passed(Privilege privilege);
  /// For the CPU: it halts, so everything becomes false.
  void halted();

 private:
  struct Slot {
    CycleCondition condition;
    bool was_true = false;
    std::array<std::uint64_t, kPrivilegeCount> seen{};  ///< totals of the event at the last call
  };

  RetireTotals& totals_;
  std::uint32_t taken_ = 0;
  std::array<Slot, kConditionSlots> slots_{};
  std::array<std::uint64_t, kPrivilegeCount> cycles_seen_{};
};

}  // namespace vpmu::silicon
