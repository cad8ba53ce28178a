// SPDX-License-Identifier: MIT
//
// The host event behind a guest's counter: opened when the counter first runs, kept while it is
// stopped, and used again if it is to count the same. What it counts is taken in portions; who owns
// the counter adds them up.
//
// To let a counter run on, or run anew:
//
//   event.hold(perf);                       // it stands still
//   value += event.take(perf);              // so this is the last of what was
//   event.run(perf, attr, vcpu, handler);   // attr.period: from `value` to the overflow
#pragma once

#include <cstdint>

#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::virt {

class CounterEvent {
 public:
  [[nodiscard]] bool is_open() const { return event_ != hostperf::kNoEvent; }
  /// On a counter of the host.
  [[nodiscard]] bool is_active(const hostperf::HostPerf& perf) const;
  /// The host has taken its counter away: it should count, and does not.
  [[nodiscard]] bool is_lost(const hostperf::HostPerf& perf) const;
  /// Whether run() would go on with the event that is there.
  [[nodiscard]] bool counts(const hostperf::EventAttr& wanted) const;

  /// What was counted since the last take(), as far as the host knows. One that is lost is off
  /// afterwards.
  std::uint64_t take(hostperf::HostPerf& perf);
  /// The same, not taken.
  [[nodiscard]] std::uint64_t counted(hostperf::HostPerf& perf) const;

  /// Stands still for a moment, up to run() or stop().
  void hold(hostperf::HostPerf& perf);

  enum class Outcome : std::uint8_t {
    kRuns,
    kNoRoom,       ///< the host has no counter for it now
    kNoSuchEvent,  ///< ... cannot count that at all
  };
  /// Counts `wanted` from now on, pinned; an event that counts something else is closed, with what
  /// was not taken of it.
  Outcome run(hostperf::HostPerf& perf, const hostperf::EventAttr& wanted, hostperf::Target target,
              hostperf::OverflowHandler& handler);
  /// The next overflow is so many counts from now. No effect if there is no event.
  void set_period(hostperf::HostPerf& perf, std::uint64_t period);
  /// Gives the host's counter back; the event is kept.
  void stop(hostperf::HostPerf& perf);
  /// What was not taken is lost.
  void close(hostperf::HostPerf& perf);

 private:
  hostperf::EventId event_ = hostperf::kNoEvent;
  hostperf::EventAttr attr_;  ///< of `event_`; its period is not kept
  std::uint64_t taken_ = 0;   ///< of the event's count
};

}  // namespace vpmu::virt
