// SPDX-License-Identifier: MIT
#include "machine/clock.hpp"

#include <algorithm>

namespace vpmu::machine {

namespace {
std::uint64_t scale(std::uint64_t count, std::uint64_t to, std::uint64_t from) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(count) * to / from);
}
}  // namespace

Timer::Timer(Clock& clock, Wakes wakes) : clock_{clock}, wakes_{wakes} {
  clock.timers_.push_back(this);
}

Timer::~Timer() {
  std::erase(clock_.timers_, this);
}

std::uint64_t Clock::next_due() const {
  std::uint64_t next = Timer::kNever;
  for (const Timer* timer : timers_) next = std::min(next, timer->due());
  return next;
}

std::uint64_t Clock::next_wake() const {
  std::uint64_t next = Timer::kNever;
  for (const Timer* timer : timers_) {
    if (timer->wakes() == Wakes::kGuest) next = std::min(next, timer->due());
  }
  return next;
}

void Clock::run_due() {
  const std::uint64_t time = now();
  for (;;) {
    // Earliest first; creation order among equals.
    const auto first = std::min_element(
        timers_.begin(), timers_.end(),
        [](const Timer* left, const Timer* right) { return left->due() < right->due(); });
    if (first == timers_.end() || (*first)->due() > time) return;
    (*first)->disarm();
    (*first)->on_timer();
  }
}

std::uint64_t Clock::to_cycles(std::uint64_t count, std::uint64_t count_hz) const {
  return scale(count, hz_, count_hz);
}

std::uint64_t Clock::from_cycles(std::uint64_t cycles, std::uint64_t count_hz) const {
  return scale(cycles, count_hz, hz_);
}

}  // namespace vpmu::machine
