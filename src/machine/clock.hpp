// SPDX-License-Identifier: MIT
//
// Machine time, in guest core cycles since power-on, and what is to happen when. Time is derived
// from the modelled cycles of the vCPU that is running; nothing here reads the host's clock.
//
// A device owns a Timer; the machine runs a vCPU no further than the earliest one and then calls
// `run_due()`. Timers that are due at the same cycle fire in the order in which they were created.
#pragma once

#include <cstdint>
#include <vector>

namespace vpmu::machine {

class Clock;

/// Whom a timer is for: a guest that sleeps may wake at it, or only somebody who is awake.
enum class Wakes : std::uint8_t { kGuest, kNobody };

/// Something that happens at a given machine time. Created at set-up, armed and disarmed at will.
class Timer {
 public:
  /// With Wakes::kNobody, on_timer() changes nothing that a guest could notice that sleeps. While
  /// everybody does, it waits until time goes on.
  explicit Timer(Clock& clock, Wakes wakes = Wakes::kGuest);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Fires once when machine time is at least `cycle`. Replaces an earlier deadline.
  void arm(std::uint64_t cycle) { due_ = cycle; }
  void disarm() { due_ = kNever; }
  [[nodiscard]] bool armed() const { return due_ != kNever; }
  [[nodiscard]] std::uint64_t due() const { return due_; }
  [[nodiscard]] Wakes wakes() const { return wakes_; }

  /// Called by the clock, disarmed, at the first instruction boundary at or after the deadline.
  virtual void on_timer() = 0;

  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

 protected:
  ~Timer();

 private:
  Clock& clock_;
  const Wakes wakes_;
  std::uint64_t due_ = kNever;
};

/// The running CPU, asked for the time.
class TimeSource {
 public:
  /// Machine time in cycles at the current instruction boundary.
  virtual std::uint64_t now() = 0;

 protected:
  ~TimeSource() = default;
};

class Clock {
 public:
  /// `hz`: cycles per second of machine time (the modelled core and TSC frequency).
  explicit Clock(std::uint64_t hz) : hz_{hz} {}
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  [[nodiscard]] std::uint64_t hz() const { return hz_; }
  [[nodiscard]] std::uint64_t now() const { return source_ != nullptr ? source_->now() : now_; }

  /// For the machine: while a vCPU runs, time is what it says; in between, what set_now() said.
  void set_source(TimeSource* source) { source_ = source; }
  void set_now(std::uint64_t cycle) { now_ = cycle; }

  /// The earliest armed timer's cycle; Timer::kNever if none is armed.
  [[nodiscard]] std::uint64_t next_due() const;
  /// The same of those that may wake the guest.
  [[nodiscard]] std::uint64_t next_wake() const;
  /// Fires all timers that are due.
  void run_due();

  static constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  /// Unit conversion, rounding down, exact for any 64-bit count.
  [[nodiscard]] std::uint64_t to_cycles(std::uint64_t count, std::uint64_t count_hz) const;
  [[nodiscard]] std::uint64_t from_cycles(std::uint64_t cycles, std::uint64_t count_hz) const;
  [[nodiscard]] std::uint64_t to_ns(std::uint64_t cycles) const {
    return from_cycles(cycles, kNsPerSecond);
  }

 private:
  friend class Timer;

  std::uint64_t hz_;
  std::uint64_t now_ = 0;
  TimeSource* source_ = nullptr;
  std::vector<Timer*> timers_;
};

}  // namespace vpmu::machine
