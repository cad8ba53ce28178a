// SPDX-License-Identifier: MIT
//
// How a guest's counters are doing, for reports: the guest itself cannot see that a counter of its
// stands still because the host cannot count the event.
//
// Whoever wants to know since when sets a CounterObserver, which the PMU tells of every change.
#pragma once

#include <cstdint>

namespace vpmu::virt {

/// A counter by its bit in the register that enables it. x86, IA32_PERF_GLOBAL_CTRL:
/// general-purpose i is i, fixed k is 32 + k. Arm, PMCNTENSET_EL0: event counter n is n, the cycle
/// counter is 31.
enum class CounterIndex : std::uint8_t {};

/// Whether a counter does what the guest asked of it.
enum class CounterStatus : std::uint8_t {
  kOff,               ///< not enabled, locally or globally, or frozen
  kCounting,          ///< what the guest asked for
  kUnsupportedEvent,  ///< enabled, but the host cannot count the event: stands still
  kStarved,           ///< enabled, but the host has no counter for it: stands still
  kDenied,            ///< enabled, but the guest may not count the event: stands still
};
/// The name that reports use, e.g. "unsupported event". Never null.
const char* name(CounterStatus status);

class CounterObserver {
 public:
  /// From now on `counter` is `status`, and was not before or was so with another event. `config`
  /// is what the guest wants counted, as in hostperf::EventAttr::config. Called at instruction
  /// boundaries of the vCPU, from whichever call of the PMU's noticed; must not call back.
  virtual void counter_changed(CounterIndex counter, CounterStatus status,
                               std::uint64_t config) = 0;

 protected:
  ~CounterObserver() = default;
};

}  // namespace vpmu::virt
