// SPDX-License-Identifier: MIT
#include "vpmu/virt/counter_event.hpp"

#include <utility>

namespace vpmu::virt {

using hostperf::EventAttr;
using hostperf::EventState;
using hostperf::HostPerf;

bool CounterEvent::is_active(const HostPerf& perf) const {
  return is_open() && perf.state(event_) == EventState::kActive;
}

/// A pinned event that is inactive waits for its vCPU to run, not for a counter.
bool CounterEvent::is_lost(const HostPerf& perf) const {
  if (!is_open()) return false;
  const EventState state = perf.state(event_);
  return state == EventState::kError || state == EventState::kOff;
}

bool CounterEvent::counts(const EventAttr& wanted) const {
  if (!is_open()) return false;
  EventAttr same = wanted;
  same.period = attr_.period;
  return same == attr_;
}

std::uint64_t CounterEvent::counted(HostPerf& perf) const {
  if (!is_open()) return 0;
  const auto count = perf.read(event_);
  return count ? count->value - taken_ : 0;
}

std::uint64_t CounterEvent::take(HostPerf& perf) {
  if (!is_open()) return 0;
  auto count = perf.read(event_);
  if (!count) {
    // In error. What it counted before can be read once it is off, on some hosts.
    perf.disable(event_);
    count = perf.read(event_);
    if (!count) return 0;
  }
  return count->value - std::exchange(taken_, count->value);
}

void CounterEvent::hold(HostPerf& perf) {
  if (is_active(perf)) perf.pause(event_);
}

CounterEvent::Outcome CounterEvent::run(HostPerf& perf, const EventAttr& wanted,
                                        hostperf::Target target,
                                        hostperf::OverflowHandler& handler) {
  if (counts(wanted)) {
    perf.set_period(event_, wanted.period);
  } else {
    close(perf);
    const auto opened = perf.open(wanted, target, handler);
    if (!opened) {
      const bool no_space = opened.error() == hostperf::OpenError::kNoSpace;
      return no_space ? Outcome::kNoRoom : Outcome::kNoSuchEvent;
    }
    event_ = *opened;
    attr_ = wanted;
    taken_ = 0;
  }
  if (is_active(perf)) {
    perf.resume(event_);
  } else {
    perf.enable(event_);
  }
  return perf.state(event_) == EventState::kError ? Outcome::kNoRoom : Outcome::kRuns;
}

void CounterEvent::set_period(HostPerf& perf, std::uint64_t period) {
  if (is_open()) perf.set_period(event_, period);
}

void CounterEvent::stop(HostPerf& perf) {
  if (is_open()) perf.disable(event_);
}

void CounterEvent::close(HostPerf& perf) {
  if (!is_open()) return;
  perf.close(event_);
  event_ = hostperf::kNoEvent;
}

}  // namespace vpmu::virt
