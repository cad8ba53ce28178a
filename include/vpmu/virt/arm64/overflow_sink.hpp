// SPDX-License-Identifier: MIT
//
// Where a virtual PMU's interrupt goes: a level, of which the machine makes a private peripheral
// interrupt.
#pragma once

namespace vpmu::virt::arm64 {

class OverflowSink {
 public:
  /// The overflow interrupt is now asserted, or no longer. Told of changes only, from
  /// before_entry(), reset() and restore().
  virtual void set_overflow_line(bool asserted) = 0;

  /// The PMU has work for before_entry(), and it was not a guest's access that made it: a counter
  /// overflowed, or what the guest may count has changed. The vCPU must not execute another guest
  /// instruction before it is called. May be called in signal context by host perf back ends that
  /// work so, and on any thread that calls Pmu::gate_changed().
  virtual void request_entry_work() = 0;

 protected:
  ~OverflowSink() = default;
};

}  // namespace vpmu::virt::arm64
