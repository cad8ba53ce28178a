// SPDX-License-Identifier: MIT
//
// EventGate: which events a guest may count. The PMU asks whenever it is about to let a counter
// count, and again at every instruction that the hypervisor completes for the guest; it never
// remembers an answer. Whoever changes the answers tells every PMU (Pmu::set_event_gate() or
// Pmu::gate_changed()), which then reprograms all counters before the next guest instruction.
//
// Called on the thread that runs the vCPU; must not allocate, lock or call back.
#pragma once

#include "vpmu/silicon/x86/event_table.hpp"

namespace vpmu::virt::x86 {

class EventGate {
 public:
  /// Whether a general-purpose counter may count this event: event select of 8 bits on Intel, 12 on
  /// AMD, and unit mask. Nothing else of the selector matters.
  [[nodiscard]] virtual bool admits(silicon::x86::EventSelector event) const = 0;
  /// Whether fixed counter `k` may count.
  [[nodiscard]] virtual bool admits_fixed(unsigned k) const = 0;

 protected:
  ~EventGate() = default;
};

}  // namespace vpmu::virt::x86
