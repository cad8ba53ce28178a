// SPDX-License-Identifier: MIT
//
// EventGate: which events a guest may count. The PMU asks whenever it is about to let a counter
// count, and again at every instruction that the hypervisor completes for the guest; so does PV
// perf for its events. Neither ever remembers an answer. Whoever changes the answers tells every
// user, which then reprograms everything before the next guest instruction.
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

/// Who asks a gate.
class EventGateUser {
 public:
  /// Which events the guest may count; null: all. `gate` must outlive its use here. From the next
  /// guest instruction on, for what counts already too: the vCPU must come by before_entry().
  virtual void set_event_gate(const EventGate* gate) = 0;
  /// The gate's answers have changed: as if it had been set anew. On any thread.
  virtual void gate_changed() = 0;

 protected:
  ~EventGateUser() = default;
};

}  // namespace vpmu::virt::x86
