// SPDX-License-Identifier: MIT
//
// Virtual PMUv3: what the registers say about a counter, its value, and the host event behind it.
#include "virt/counter_sets.hpp"
#include "vpmu/virt/arm64/pmu.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::kChain;
using silicon::arm64::kCpuCycles;
using silicon::arm64::kSwIncr;
using silicon::arm64::Pmcr;
using silicon::arm64::PmEvTyper;

namespace {

constexpr std::uint64_t kLow32 = 0xffff'ffff;
constexpr std::uint64_t kAll64 = ~std::uint64_t{0};
constexpr std::uint64_t kLongestPeriod = kAll64 >> 1;
/// PMCR_EL0.D.
constexpr std::uint64_t kDivider = 64;

constexpr bool is_odd(CounterIndex index) {
  return (static_cast<unsigned>(index) & 1) != 0;
}

}  // namespace

// ---- What the registers say ---------------------------------------------------------------------

std::uint64_t Pmu::mask(CounterIndex index) const {
  return index == kCycleCounter || has_long_counters(config_) ? kAll64 : kLow32;
}

/// A counter overflows when these bits of it go back to 0.
std::uint64_t Pmu::overflow_mask(CounterIndex index) const {
  const std::uint64_t full = index == kCycleCounter ? mask_of(Pmcr::kLc) : mask_of(Pmcr::kLp);
  return (control() & full) != 0 ? kAll64 : kLow32;
}

bool Pmu::divides(CounterIndex index) const {
  constexpr std::uint64_t kBits = mask_of(Pmcr::kLc, Pmcr::kD);
  return index == kCycleCounter && (control() & kBits) == mask_of(Pmcr::kD);
}

bool Pmu::enabled(CounterIndex index) const {
  return (control_ & mask_of(Pmcr::kE)) != 0 && (enabled_ & bit(index)) != 0;
}

std::uint16_t Pmu::event(CounterIndex index) const {
  if (index == kCycleCounter) return kCpuCycles;
  return static_cast<std::uint16_t>(PmEvTyper{{counter(index).type}}.get(PmEvTyper::kEvent));
}

/// Whether the counter counts overflows of the one before it.
bool Pmu::chains(CounterIndex index) const {
  return is_odd(index) && index != kCycleCounter && !has_long_counters(config_) &&
         event(index) == kChain;
}

std::uint64_t Pmu::writable_type(CounterIndex index) const {
  constexpr std::uint64_t kFilter = mask_of(PmEvTyper::kP, PmEvTyper::kU);
  if (index == kCycleCounter) return kFilter;
  return kFilter | (silicon::arm64::event_numbers(config_.version) - 1);
}

hostperf::EventAttr Pmu::attr(CounterIndex index) const {
  const PmEvTyper type{{counter(index).type}};
  return {
      .config = event(index),
      .period = period(index),
      .pinned = true,
      .exclude_user = type.get(PmEvTyper::kU) != 0,
      .exclude_kernel = type.get(PmEvTyper::kP) != 0,
      .exclude_host = true,
      .exclude_idle = true,
      .cookie = static_cast<std::uint64_t>(index),
  };
}

/// From the value to the overflow, in events of the host's. 0, which is never, for what no host
/// counts up to in its lifetime: perf's periods have 63 bits.
std::uint64_t Pmu::period(CounterIndex index) const {
  const std::uint64_t bits = overflow_mask(index);
  const std::uint64_t left = bits - (counter(index).value & bits) + 1;
  if (left > kLongestPeriod) return 0;
  return divides(index) ? left * kDivider - undivided_ : left;
}

// ---- Values -------------------------------------------------------------------------------------

Pmu::Advanced Pmu::advanced(CounterIndex index, std::uint64_t count) const {
  std::uint8_t undivided = undivided_;
  if (divides(index)) {
    const std::uint64_t cycles = undivided_ + count;
    undivided = static_cast<std::uint8_t>(cycles % kDivider);
    count = cycles / kDivider;
  }
  return {(counter(index).value + count) & mask(index), undivided};
}

std::uint64_t Pmu::value(CounterIndex index) const {
  return advanced(index, counter(index).host.counted(perf_)).value;
}

void Pmu::fold(CounterIndex index) {
  Counter& folded = counter(index);
  const Advanced now = advanced(index, folded.host.take(perf_));
  folded.value = now.value;
  undivided_ = now.undivided;
}

/// Of an event that the PMU makes itself.
void Pmu::count_one(CounterIndex index) {
  Counter& counted = counter(index);
  counted.value = (counted.value + 1) & mask(index);
  if ((counted.value & overflow_mask(index)) == 0) overflowed(index);
}

/// Once all that the counter counted up to its overflow has happened.
void Pmu::overflowed(CounterIndex index) {
  ++statistics_.overflows;
  overflowed_ |= bit(index);
  if (is_odd(index)) return;
  const auto next = static_cast<CounterIndex>(static_cast<unsigned>(index) + 1);
  if ((all_counters_ & bit(next)) != 0 && chains(next) && enabled(next)) count_one(next);
}

// ---- Host events --------------------------------------------------------------------------------

void Pmu::request_reprogram(std::uint64_t counters) {
  reprogram_ |= counters;
  entry_work_.store(true, std::memory_order_release);
}

/// What the host can count, and the guest has not.
bool Pmu::offers(std::uint16_t event) const {
  using silicon::arm64::kExtendedEvents;
  if (!silicon::arm64::is_sample_event(event)) return true;
  return (config_.common_events[0] >> (32 + event - kExtendedEvents) & 1) != 0;
}

bool Pmu::reprogram(CounterIndex index) {
  const std::uint16_t wanted = event(index);
  if (!enabled(index)) {
    stop(index, CounterStatus::kOff);
  } else if (wanted == kSwIncr || chains(index)) {
    stop(index, CounterStatus::kCounting);
  } else if (wanted == kChain || !offers(wanted)) {
    stop(index, CounterStatus::kUnsupportedEvent);
  } else if (gate_ != nullptr && !gate_->admits(wanted)) {
    stop(index, CounterStatus::kDenied);
  } else {
    return start(index);
  }
  return true;
}

/// The event is kept: guests stop counters for moments.
void Pmu::stop(CounterIndex index, CounterStatus why) {
  Counter& target = counter(index);
  target.host.stop(perf_);
  fold(index);
  set_status(index, why, why == CounterStatus::kOff ? target.status_event : event(index));
}

bool Pmu::start(CounterIndex index) {
  Counter& target = counter(index);
  target.host.hold(perf_);
  fold(index);
  const bool was_active = target.host.is_active(perf_);
  const auto outcome = target.host.run(perf_, attr(index), hostperf::Target::of(vcpu_), *this);
  host_schedule_changed_ |= !was_active;
  using Outcome = CounterEvent::Outcome;
  switch (outcome) {
    case Outcome::kRuns: set_status(index, CounterStatus::kCounting, event(index)); break;
    case Outcome::kNoRoom: set_status(index, CounterStatus::kStarved, event(index)); break;
    case Outcome::kNoSuchEvent:
      set_status(index, CounterStatus::kUnsupportedEvent, event(index));
      break;
  }
  return outcome != Outcome::kNoRoom;
}

void Pmu::close_event(CounterIndex index) {
  fold(index);
  counter(index).host.close(perf_);
}

void Pmu::close_unused_events() {
  for_each(all_counters_, [this](CounterIndex index) {
    Counter& checked = counter(index);
    if (!checked.touched && (enabled_ & bit(index)) == 0) close_event(index);
    checked.touched = false;
  });
}

void Pmu::set_status(CounterIndex index, CounterStatus status, std::uint16_t event) {
  Counter& target = counter(index);
  if (target.status == status && target.status_event == event) return;
  target.status = status;
  target.status_event = event;
  const bool counts = status == CounterStatus::kCounting;
  counting_ = counts ? counting_ | bit(index) : counting_ & ~bit(index);
  if (observer_ != nullptr) observer_->counter_changed(index, status, event);
}

CounterStatus Pmu::status(CounterIndex index) const {
  const Counter& asked = counter(index);
  const bool lost = asked.status == CounterStatus::kCounting && asked.host.is_lost(perf_);
  return lost && event(index) != kSwIncr && !chains(index) ? CounterStatus::kStarved : asked.status;
}

void Pmu::look_for_lost_events() {
  for_each(counting_, [this](CounterIndex index) {
    if (status(index) != CounterStatus::kStarved) return;
    fold(index);
    set_status(index, CounterStatus::kStarved, counter(index).status_event);
    // Tried again with the next request. To ask for one here would be to try without end.
    reprogram_ |= bit(index);
  });
}

}  // namespace vpmu::virt::arm64
