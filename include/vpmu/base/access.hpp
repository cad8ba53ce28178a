// SPDX-License-Identifier: MIT
//
// The outcome of a guest's access to a register or device: done (with a value, for reads), a fault
// that the CPU injects (or a trap, on Arm), or not mine (the next device is asked). Never an
// exception, never an abort: whatever a guest does, the worst that happens is that this guest gets
// a fault.
#pragma once

#include <cstdint>

namespace vpmu {

/// Who makes an access. Migration and reset (host) write what a guest may not.
enum class Initiator : std::uint8_t { kGuest, kHost };

class [[nodiscard]] Access {
 public:
  /// A read that gave `value`, or a write that took effect.
  static constexpr Access done(std::uint64_t value = 0) { return {Outcome::kDone, value}; }
  /// #GP(0) on x86, an undefined instruction on Arm. Nothing has changed.
  static constexpr Access fault() { return {Outcome::kFault, 0}; }
  /// Arm: trapped to EL1 (EC 0x18), as an access at EL0 that EL1 has not enabled. Nothing has
  /// changed.
  static constexpr Access trap() { return {Outcome::kTrap, 0}; }
  /// This device has no such register.
  static constexpr Access not_mine() { return {Outcome::kNotMine, 0}; }

  [[nodiscard]] constexpr bool is_done() const { return outcome_ == Outcome::kDone; }
  [[nodiscard]] constexpr bool is_fault() const { return outcome_ == Outcome::kFault; }
  [[nodiscard]] constexpr bool is_trap() const { return outcome_ == Outcome::kTrap; }
  [[nodiscard]] constexpr bool is_not_mine() const { return outcome_ == Outcome::kNotMine; }
  /// The value read. Only meaningful if `is_done()`; 0 otherwise.
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }

  friend constexpr bool operator==(const Access&, const Access&) = default;

 private:
  enum class Outcome : std::uint8_t { kDone, kFault, kTrap, kNotMine };
  constexpr Access(Outcome outcome, std::uint64_t value) : outcome_{outcome}, value_{value} {}

  Outcome outcome_;
  std::uint64_t value_;
};

}  // namespace vpmu
