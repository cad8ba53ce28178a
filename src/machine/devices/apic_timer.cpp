// SPDX-License-Identifier: MIT
#include "machine/devices/apic_timer.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/ticks.hpp"

namespace vpmu::machine {

namespace {
constexpr std::uint32_t kDivideBits = 0xb;
}  // namespace

ApicTimer::ApicTimer(Clock& clock, std::uint64_t timer_hz, ApicTimerListener& listener)
    : Timer{clock},
      clock_{clock},
      timer_hz_{timer_hz != 0 ? timer_hz : clock.hz()},
      listener_{listener} {}

void ApicTimer::reset() {
  const std::uint64_t offset = state_.tsc_offset;
  state_ = State{};
  state_.tsc_offset = offset;
  disarm();
}

void ApicTimer::set_mode(Mode mode) {
  if (mode == state_.mode) return;
  settle();
  const auto is_count = [](Mode m) { return m == Mode::kOneShot || m == Mode::kPeriodic; };
  if (!is_count(mode) || !is_count(state_.mode)) {
    state_.running = false;
    state_.initial = 0;
    state_.deadline = 0;
  }
  state_.mode = mode;
  schedule();
}

void ApicTimer::set_masked(bool masked) {
  if (masked == state_.masked) return;
  settle();
  state_.masked = masked;
  schedule();
}

void ApicTimer::set_initial_count(std::uint32_t count) {
  if (!counts()) return;
  settle();
  state_.initial = count;
  state_.loaded = count;
  state_.origin = ticks();
  state_.running = count != 0;
  schedule();
}

std::uint32_t ApicTimer::current_count() const {
  if (!counts() || !state_.running) return 0;
  const std::uint64_t gone = elapsed();
  if (gone < state_.loaded) return static_cast<std::uint32_t>(state_.loaded - gone);
  if (state_.mode == Mode::kOneShot) return 0;
  return static_cast<std::uint32_t>(state_.initial - (gone - state_.loaded) % state_.initial);
}

void ApicTimer::set_divide(std::uint32_t divide) {
  settle();
  const std::uint32_t count = current_count();
  state_.divide = divide & kDivideBits;
  if (state_.running) {
    state_.loaded = count;
    state_.origin = ticks();
  }
  schedule();
}

void ApicTimer::set_deadline(std::uint64_t tsc) {
  if (state_.mode != Mode::kTscDeadline) return;
  settle();
  state_.deadline = tsc;
  settle();
  schedule();
}

std::uint64_t ApicTimer::deadline() const {
  return state_.deadline != 0 && state_.deadline > tsc_now() ? state_.deadline : 0;
}

void ApicTimer::set_tsc_offset(std::uint64_t offset) {
  settle();
  state_.tsc_offset = offset;
  settle();
  schedule();
}

void ApicTimer::on_timer() {
  settle();
  schedule();
}

bool ApicTimer::counts() const {
  return state_.mode == Mode::kOneShot || state_.mode == Mode::kPeriodic;
}

std::uint32_t ApicTimer::divider() const {
  const unsigned code = (state_.divide & 3) | (state_.divide >> 1 & 4);
  return 1U << ((code + 1) & 7);
}

std::uint64_t ApicTimer::ticks() const {
  return ticks_now(clock_, timer_hz_);
}

// vCPUs take turns, so that time may be a little earlier than when another one set the timer up.
std::uint64_t ApicTimer::elapsed() const {
  const std::uint64_t now = ticks();
  return now > state_.origin ? (now - state_.origin) / divider() : 0;
}

std::uint64_t ApicTimer::tsc_now() const {
  return clock_.now() + state_.tsc_offset;
}

bool ApicTimer::take_expiry() {
  if (state_.mode == Mode::kTscDeadline) {
    if (state_.deadline == 0 || state_.deadline > tsc_now()) return false;
    state_.deadline = 0;
    return true;
  }
  if (!counts() || !state_.running) return false;
  const std::uint64_t gone = elapsed();
  if (gone < state_.loaded) return false;
  if (state_.mode == Mode::kOneShot) {
    state_.running = false;
    return true;
  }
  const std::uint64_t periods = (gone - state_.loaded) / state_.initial;
  state_.origin += (state_.loaded + periods * state_.initial) * divider();
  state_.loaded = state_.initial;
  return true;
}

void ApicTimer::settle() {
  if (take_expiry() && !state_.masked) listener_.on_apic_timer();
}

void ApicTimer::schedule() {
  disarm();
  if (state_.masked) return;
  if (state_.mode == Mode::kTscDeadline) {
    if (state_.deadline == 0) return;
    const std::uint64_t wait = state_.deadline - tsc_now();  // not 0: settle() came before
    const std::uint64_t now = clock_.now();
    if (wait < kNever - now) arm(now + wait);
  } else if (counts() && state_.running) {
    const std::uint64_t due = state_.origin + std::uint64_t{state_.loaded} * divider();
    arm(first_cycle_of(clock_, due, timer_hz_));
  }
}

ApicTimer::State ApicTimer::save() const {
  State state = state_;
  state.due = due();
  return state;
}

Result<void> ApicTimer::restore(const State& state) {
  if (state.mode > Mode::kReserved) return cannot_hold("mode", static_cast<unsigned>(state.mode));
  if ((state.divide & ~kDivideBits) != 0) return cannot_hold("divide", state.divide);
  if (state.running && state.initial == 0) return cannot_hold("initial count", state.initial);
  if (state.origin > ticks()) return cannot_hold("start of the count", state.origin);
  state_ = state;
  arm(state.due);
  return {};
}

}  // namespace vpmu::machine
