// SPDX-License-Identifier: MIT
//
// Conditions on cycles: what CMASK, INV and EDGE of an event select count. "At least `threshold`
// occurrences of the event in this cycle", at a privilege; counted are the cycles in which that is
// true (or, inverted, false), or the times at which it becomes so.
//
// The modelled core retires one instruction after the other. Of an instruction that takes k cycles
// and in which an event occurs n times, the last n cycles have one occurrence each if n <= k;
// otherwise every cycle has n / k and the last n % k have one more. Occurrences without a cycle
// (the misses of an instruction that then faults) are in no cycle. Halted cycles do not exist:
// conditions are false across them.
//
// A condition takes one of the vCPU's slots while it is counted, and its count is the total of
// condition_event(slot). While any slot is taken, the CPU calls passed() after every instruction
// and every delivered event; otherwise there is no cost.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vpmu/base/result.hpp"
#include "vpmu/silicon/raw_event.hpp"
#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon {

struct CycleCondition {
  RawEvent event = RawEvent::kCycles;        ///< a named one
  std::uint8_t threshold = 1;                ///< CMASK; not 0
  bool inverted = false;                     ///< INV: true if there are fewer
  bool edge = false;                         ///< EDGE: count how often it becomes true
  PrivilegeSet privileges = kAllPrivileges;  ///< elsewhere it is false, INV or not
  friend constexpr bool operator==(const CycleCondition&, const CycleCondition&) = default;
};

class CycleConditions {
 public:
  explicit CycleConditions(RetireTotals& totals) : totals_{totals} {}
  CycleConditions(const CycleConditions&) = delete;
  CycleConditions& operator=(const CycleConditions&) = delete;

  /// Starts to watch; the totals of the event it gives then count it, under whatever privilege the
  /// counted cycle had (read it over kAllPrivileges). The condition was false before. Demands both
  /// events. Empty if no slot is free.
  std::optional<RawEvent> watch(const CycleCondition& condition);
  void unwatch(RawEvent event);
  [[nodiscard]] bool any() const { return state_.taken != 0; }

  /// For the CPU: one instruction retired, or one event was delivered, at `privilege`, since the
  /// last call. Reads what that added from the totals.
  void passed(Privilege privilege);
  /// For the CPU: it halts, so everything becomes false.
  void halted();

  using Totals = std::array<std::uint64_t, kPrivilegeCount>;
  struct Slot {
    CycleCondition condition;
    bool was_true = false;
    Totals seen{};  ///< totals of the event at the last call
    friend bool operator==(const Slot&, const Slot&) = default;
  };
  struct State {
    std::uint32_t taken = 0;  ///< by slot
    std::array<Slot, kConditionSlots> slots{};
    Totals cycles_seen{};
    friend bool operator==(const State&, const State&) = default;
  };
  [[nodiscard]] const State& save() const { return state_; }
  /// Goes on with what was watched then: demands its events, and no longer those it watched itself.
  /// The totals are to be those of then. Refused, and nothing has changed: what cannot be watched.
  Result<void> restore(const State& state);

 private:
  [[nodiscard]] Totals held(RawEvent event) const;
  void count(std::size_t number, Privilege privilege, std::uint64_t cycles,
             std::uint64_t occurrences);

  RetireTotals& totals_;
  State state_;
};

}  // namespace vpmu::silicon
