// SPDX-License-Identifier: MIT
//
// Machine time while a vCPU runs: from where the clock stood when the run began, by the cycles of
// its CPU. `Cpu` has cycles(), of its own since power-on, and request_exit().
#pragma once

#include <cstdint>

#include "machine/clock.hpp"

namespace vpmu::machine {

template <class Cpu>
class TurnTime final : private TimeSource {
 public:
  /// Both must outlive it.
  TurnTime(Clock& clock, Cpu& cpu) : clock_{clock}, cpu_{cpu} {}
  TurnTime(const TurnTime&) = delete;
  TurnTime& operator=(const TurnTime&) = delete;

  /// A run begins that goes up to machine time `until`: time is what the CPU says.
  void begin(std::uint64_t until) {
    offset_ = clock_.now() - cpu_.cycles();
    until_ = until;
    clock_.set_source(this);
    running_ = true;
  }
  /// The run is over: the clock stands where the CPU has got to.
  void end() {
    clock_.set_now(now());
    clock_.set_source(nullptr);
    running_ = false;
  }
  [[nodiscard]] bool running() const { return running_; }
  /// Machine time in cycles, running or not.
  [[nodiscard]] std::uint64_t now() override {
    return running_ ? offset_ + cpu_.cycles() : clock_.now();
  }
  /// Somebody may have armed a timer that is due before the run is to end: it then ends at the next
  /// instruction boundary.
  void look_at_timers() {
    if (running_ && clock_.next_due() < until_) cpu_.request_exit();
  }

 private:
  Clock& clock_;
  Cpu& cpu_;
  bool running_ = false;
  std::uint64_t until_ = Timer::kNever;  ///< of the run that is going on
  std::uint64_t offset_ = 0;             ///< machine time - CPU cycles, modulo 2^64
};

}  // namespace vpmu::machine
