// SPDX-License-Identifier: MIT
//
// The timer of a local APIC (Intel SDM vol. 3A 11.5.4): one-shot, periodic and TSC-deadline.
//
// Counting is arithmetic on machine time: nothing runs per tick, and a periodic timer that is far
// behind catches up in one step. The count goes down at `timer_hz / divider`; with the default of
// the core frequency one tick at divider 1 is one core cycle. A masked timer counts but takes no
// place in the clock's queue.
#pragma once

#include <cstdint>

#include "machine/clock.hpp"
#include "vpmu/base/result.hpp"

namespace vpmu::machine {

class ApicTimerListener {
 public:
  /// The count reached zero, or the deadline was reached, and the timer is not masked.
  virtual void on_apic_timer() = 0;

 protected:
  ~ApicTimerListener() = default;
};

class ApicTimer final : private Timer {
 public:
  /// LVT timer register, bits 18:17.
  enum class Mode : std::uint8_t { kOneShot, kPeriodic, kTscDeadline, kReserved };

  struct State {
    Mode mode = Mode::kOneShot;
    bool masked = true;
    bool running = false;
    std::uint32_t divide = 0;      ///< the divide configuration register
    std::uint32_t initial = 0;     ///< the initial count register
    std::uint32_t loaded = 0;      ///< the count at `origin`
    std::uint64_t origin = 0;      ///< undivided ticks since power-on
    std::uint64_t deadline = 0;    ///< IA32_TSC_DEADLINE; 0: not armed
    std::uint64_t tsc_offset = 0;  ///< what the guest's TSC is ahead of machine time, modulo 2^64
    std::uint64_t due = kNever;    ///< of the clock's timer; only in what save() gives
    friend bool operator==(const State&, const State&) = default;
  };

  /// `timer_hz` 0: the clock's frequency.
  ApicTimer(Clock& clock, std::uint64_t timer_hz, ApicTimerListener& listener);

  void reset();

  [[nodiscard]] State save() const;
  /// The clock must have its time already.
  Result<void> restore(const State& state);

  /// Changing between one-shot and periodic keeps the count; from or to TSC-deadline disarms.
  void set_mode(Mode mode);
  void set_masked(bool masked);

  /// Ignored in TSC-deadline mode. 0 stops the timer.
  void set_initial_count(std::uint32_t count);
  [[nodiscard]] std::uint32_t initial_count() const { return state_.initial; }
  [[nodiscard]] std::uint32_t current_count() const;

  /// Bits 3, 1 and 0 of `divide` count. A running count goes on from where it is.
  void set_divide(std::uint32_t divide);
  [[nodiscard]] std::uint32_t divide() const { return state_.divide; }

  /// Ignored outside of TSC-deadline mode, where it also reads 0. A deadline in the past fires now.
  void set_deadline(std::uint64_t tsc);
  [[nodiscard]] std::uint64_t deadline() const;
  void set_tsc_offset(std::uint64_t offset);

 private:
  void on_timer() override;

  [[nodiscard]] bool counts() const;
  [[nodiscard]] std::uint32_t divider() const;
  [[nodiscard]] std::uint64_t ticks() const;
  [[nodiscard]] std::uint64_t elapsed() const;
  [[nodiscard]] std::uint64_t tsc_now() const;
  /// True if it expired since it was last asked; the state is then that after the expiry.
  bool take_expiry();
  /// Fires what is due. Before every change, so that the change does not swallow an interrupt.
  void settle();
  void schedule();

  Clock& clock_;
  std::uint64_t timer_hz_;
  ApicTimerListener& listener_;
  State state_;
};

}  // namespace vpmu::machine
