// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/event_filter_slot.hpp"

#include <algorithm>

#include <urcu/urcu-bp.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define VPMU_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define VPMU_THREAD_SANITIZER
#endif
#ifdef VPMU_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace vpmu::virt::x86 {

namespace {

// liburcu is not built with -fsanitize=thread, which therefore does not know that a grace period
// orders what readers did before it and what the writer does behind it, and takes the end of a
// filter for a race. It is told that, and no more: a reader that is still inside when the grace
// period ends has not come by its release, and is reported.
#ifdef VPMU_THREAD_SANITIZER
char grace_periods;
void read_section_ends() {
  __tsan_release(&grace_periods);
}
void grace_period_is_over() {
  __tsan_acquire(&grace_periods);
}
#else
void read_section_ends() {}
void grace_period_is_over() {}
#endif

}  // namespace

EventFilterSlot::ReadSection::ReadSection() {
  urcu_bp_read_lock();
}
EventFilterSlot::ReadSection::~ReadSection() {
  read_section_ends();
  urcu_bp_read_unlock();
}

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
  urcu_bp_synchronize_rcu();
  grace_period_is_over();
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
