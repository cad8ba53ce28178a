// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/event_filter_slot.hpp"

#include <algorithm>

namespace vpmu::virt::x86 {

EventFilterSlot::~EventFilterSlot() {
  delete filter_.load();
}

void EventFilterSlot::attach(EventGateUser& user) {
  const std::lock_guard lock{writers_};
  users_.push_back(&user);
  user.set_event_gate(this);
}

void EventFilterSlot::detach(EventGateUser& user) {
  const std::lock_guard lock{writers_};
  std::erase(users_, &user);
  user.set_event_gate(nullptr);
}

void EventFilterSlot::publish(std::unique_ptr<const EventFilter> filter) {
  const std::lock_guard lock{writers_};
  const std::unique_ptr<const EventFilter> old{filter_.exchange(filter.release())};
  wait_for_readers();
  for (EventGateUser* user : users_) user->gate_changed();
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
