// SPDX-License-Identifier: MIT
#include "machine/devices/apic_bus.hpp"

#include "machine/cannot_hold.hpp"
#include "machine/devices/local_apic.hpp"

namespace vpmu::machine {

template <class Predicate>
bool ApicBus::deliver_where(const InterruptMessage& message, Predicate is_target) {
  if (message.mode != DeliveryMode::kLowestPriority) {
    bool accepted = false;
    for (LocalApic* apic : apics_) {
      if (is_target(*apic)) {
        accepted |= apic->accept(message.mode, message.vector, message.level_triggered);
      }
    }
    return accepted;
  }

  LocalApic* chosen = nullptr;
  std::size_t chosen_index = 0;
  for (std::size_t i = 0; i < apics_.size(); ++i) {
    const std::size_t index = (state_.next + i) % apics_.size();
    LocalApic& apic = *apics_[index];
    if (!is_target(apic) || !apic.software_enabled()) continue;
    if (chosen == nullptr || apic.processor_priority() >> 4 < chosen->processor_priority() >> 4) {
      chosen = &apic;
      chosen_index = index;
    }
  }
  if (chosen == nullptr) return false;
  state_.next = chosen_index + 1;
  return chosen->accept(DeliveryMode::kFixed, message.vector, message.level_triggered);
}

bool ApicBus::deliver(const InterruptMessage& message) {
  return deliver_where(message, [&](const LocalApic& apic) { return apic.is_target_of(message); });
}

bool ApicBus::deliver_to_all(const InterruptMessage& message, const LocalApic* except) {
  return deliver_where(message, [&](const LocalApic& apic) { return &apic != except; });
}

Result<void> ApicBus::restore(const State& state) {
  if (state.next > apics_.size()) return cannot_hold("next in turn", state.next);
  state_ = state;
  return {};
}

}  // namespace vpmu::machine
