// SPDX-License-Identifier: MIT
//
// Deadlines on retire totals: "call me at the instruction boundary at which this total reaches that
// value". This is how counters overflow on exactly the right instruction.
//
// The CPU asks for `nearest()` before it runs, runs no further than that, and calls `fire_due()` at
// instruction boundaries where a deadline may have been reached. Slots are fixed; nothing
// allocates.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "vpmu/silicon/retire_totals.hpp"

namespace vpmu::silicon {

/// Told that a deadline was reached. Runs at an instruction boundary of the vCPU, may read totals
/// and arm or disarm any deadline.
class DeadlineListener {
 public:
  virtual void on_deadline(std::uint8_t slot) = 0;

 protected:
  ~DeadlineListener() = default;
};

class Deadlines {
 public:
  static constexpr std::uint8_t kSlots = 64;

  explicit Deadlines(RetireTotals& totals) : totals_{totals} {}

  /// Arms slot `slot` (< kSlots): `listener` is called once, at the first instruction boundary
  /// where the total of `event` over `privileges` is at least `due`. Replaces what the slot had.
  void arm(std::uint8_t slot, RawEvent event, PrivilegeSet privileges, std::uint64_t due,
           DeadlineListener& listener);
  void disarm(std::uint8_t slot);
  [[nodiscard]] bool armed(std::uint8_t slot) const { return (armed_ >> slot & 1) != 0; }

  /// How much `event` may still retire at `privilege` before some deadline on it is reached;
  /// `kNever` if none is armed. 0: a deadline is due now. Expects the totals to be handed over.
  [[nodiscard]] std::uint64_t nearest(RawEvent event, Privilege privilege) const;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  /// Calls `function(event, left)` with the same of each deadline for itself, as far as it can be
  /// reached at `privilege`. Few are armed, so this is cheaper than to ask for every event.
  template <class Function>
  void for_each_left(Privilege privilege, Function function) const {
    for (std::uint64_t left = armed_; left != 0; left &= left - 1) {
      const Slot& slot = slots_[std::countr_zero(left)];
      const std::uint64_t total = slot.total();
      const bool is_due = total >= slot.due;
      if (is_due || slot.privileges.contains(privilege)) {
        function(slot.event, is_due ? 0 : slot.due - total);
      }
    }
  }

  [[nodiscard]] bool any() const { return armed_ != 0; }

  /// Disarms and calls every deadline that is due, lowest slot first. Expects the totals to be
  /// handed over. Returns how many were called.
  unsigned fire_due();

 private:
  struct Slot {
    std::uint64_t due = 0;
    /// Where the two parts of its total are: looked up once, since the CPU asks at every stop. What
    /// does not count is kNothing.
    const std::uint64_t* user = &kNothing;
    const std::uint64_t* kernel = &kNothing;
    DeadlineListener* listener = nullptr;
    RawEvent event = RawEvent::kInstructions;
    PrivilegeSet privileges;

    [[nodiscard]] std::uint64_t total() const { return *user + *kernel; }
  };
  static constexpr std::uint64_t kNothing = 0;

  RetireTotals& totals_;
  std::uint64_t armed_ = 0;
  std::array<Slot, kSlots> slots_{};
};

}  // namespace vpmu::silicon
