// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/event_filter_slot.hpp"

#include <algorithm>

#include <urcu/urcu-bp.h>

#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

EventFilterSlot::ReadSection::ReadSection() {
  urcu_bp_read_lock();
}
EventFilterSlot::ReadSection::~ReadSection() {
  urcu_bp_read_unlock();
}

EventFilterSlot::~EventFilterSlot() {
  delete filter_.load();
}

void EventFilterSlot::attach(Pmu& pmu) {
  const std::lock_guard lock{writers_};
  pmus_.push_back(&pmu);
  pmu.set_event_gate(this);
}

void EventFilterSlot::detach(Pmu& pmu) {
  const std::lock_guard lock{writers_};
  std::erase(pmus_, &pmu);
  pmu.set_event_gate(nullptr);
}

void EventFilterSlot::publish(std::unique_ptr<const EventFilter> filter) {
  const std::lock_guard lock{writers_};
  const std::unique_ptr<const EventFilter> old{filter_.exchange(filter.release())};
  urcu_bp_synchronize_rcu();
  for (Pmu* pmu : pmus_) pmu->gate_changed();
}

bool EventFilterSlot::admits(silicon::x86::EventSelector event) const {
  // Nothing to protect, nothing to pay.
  if (filter_.load(std::memory_order_relaxed) == nullptr) return true;
  return read(
      [event](const EventFilter* filter) { return filter == nullptr || filter->admits(event); });
}

bool EventFilterSlot::admits_fixed(unsigned k) const {
  if (filter_.load(std::memory_order_relaxed) == nullptr) return true;
  return read(
      [k](const EventFilter* filter) { return filter == nullptr || filter->admits_fixed(k); });
}

}  // namespace vpmu::virt::x86
