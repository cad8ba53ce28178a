// SPDX-License-Identifier: MIT
#include "hostperf/modelled_vcpu.hpp"

#include <algorithm>

namespace vpmu::hostperf {

ModelledHostPerf::Vcpu::~Vcpu() {
  for (std::uint8_t slot = 0; slot < kEventsPerVcpu; ++slot) disable(slot);
}

std::uint8_t ModelledHostPerf::Vcpu::free_slot() const {
  const auto found = std::ranges::find(events_, nullptr, &Event::handler);
  return static_cast<std::uint8_t>(found - events_.begin());
}

// ---- Counting -----------------------------------------------------------------------------------

void ModelledHostPerf::Vcpu::start_counting(Event& event, std::uint8_t slot) {
  event.start = vcpu_.totals->read(event.row->raw, event.privileges);
  arm(event, slot);
}

void ModelledHostPerf::Vcpu::stop_counting(Event& event, std::uint8_t slot) {
  const std::uint64_t total = vcpu_.totals->read(event.row->raw, event.privileges);
  const std::uint64_t counted = total - event.start;
  event.count += counted;
  event.start = total;
  // Nothing left, and the deadline not yet fired: the overflow is still to come.
  event.left = counted < event.left ? event.left - counted : 0;
  vcpu_.deadlines->disarm(slot);
}

void ModelledHostPerf::Vcpu::arm(const Event& event, std::uint8_t slot) {
  constexpr std::uint64_t kNever = silicon::Deadlines::kNever;
  if (event.attr.period == 0 || event.left >= kNever - event.start) {
    vcpu_.deadlines->disarm(slot);
  } else {
    vcpu_.deadlines->arm(slot, event.row->raw, event.privileges, event.start + event.left, *this);
  }
}

std::uint64_t ModelledHostPerf::Vcpu::value(const Event& event) const {
  if (!event.counting()) return event.count;
  return event.count + (vcpu_.totals->read(event.row->raw, event.privileges) - event.start);
}

void ModelledHostPerf::Vcpu::account(Event& event) {
  const std::uint64_t now = vcpu_.totals->read(silicon::RawEvent::kCycles, silicon::kAllPrivileges);
  const std::uint64_t passed = now - event.stamp;
  if (event.enabled()) event.time_enabled += passed;
  if (event.state == EventState::kActive) event.time_running += passed;
  event.stamp = now;
}

void ModelledHostPerf::Vcpu::set_period(Event& event, std::uint8_t slot, std::uint64_t period) {
  if (event.counting()) stop_counting(event, slot);
  event.attr.period = period;
  event.left = period;
  if (event.counting()) start_counting(event, slot);
}

void ModelledHostPerf::Vcpu::pause(Event& event, std::uint8_t slot) {
  if (event.counting()) stop_counting(event, slot);
  event.paused = true;
}

void ModelledHostPerf::Vcpu::resume(Event& event, std::uint8_t slot) {
  if (!event.paused) return;
  event.paused = false;
  if (event.counting()) start_counting(event, slot);
}

void ModelledHostPerf::Vcpu::on_deadline(std::uint8_t slot) {
  Event& event = events_[slot];
  const std::uint64_t due = event.start + event.left;
  const std::uint64_t total = vcpu_.totals->held(event.row->raw, event.privileges);
  const std::uint64_t late = total - due;  // an instruction may count more than one
  event.count += total - event.start;
  event.start = total;
  event.left = event.attr.period - late % event.attr.period;
  arm(event, slot);
  event.handler->on_overflow(static_cast<EventId>(index_ * kEventsPerVcpu + slot),
                             event.attr.cookie);
}

// ---- Scheduling ---------------------------------------------------------------------------------

void ModelledHostPerf::Vcpu::set_state(Event& event, std::uint8_t slot, EventState state) {
  if (event.state == state) return;
  account(event);
  if (event.counting()) stop_counting(event, slot);
  if (event.state == EventState::kActive) vcpu_.totals->release(event.row->raw);
  if (event.state == EventState::kInactive) --waiting_;
  event.state = state;
  if (state == EventState::kActive) vcpu_.totals->demand(event.row->raw);
  if (state == EventState::kInactive) ++waiting_;
  if (event.counting()) start_counting(event, slot);
}

void ModelledHostPerf::Vcpu::enable(std::uint8_t slot) {
  Event& event = events_[slot];
  if (event.enabled()) return;
  order_[enabled_++] = slot;
  const bool others_wait = waiting_ != 0;
  event.paused = false;
  set_state(event, slot, EventState::kInactive);
  if (!others_wait && budget_.add(*event.row)) {
    set_state(event, slot, EventState::kActive);
  } else {
    schedule();
  }
}

void ModelledHostPerf::Vcpu::disable(std::uint8_t slot) {
  Event& event = events_[slot];
  if (event.enabled()) {
    const auto end = order_.begin() + enabled_;
    std::copy(std::find(order_.begin(), end, slot) + 1, end, std::find(order_.begin(), end, slot));
    --enabled_;
  }
  const bool was_active = event.state == EventState::kActive;
  set_state(event, slot, EventState::kOff);
  event.paused = false;
  if (!was_active) return;
  budget_.remove(*event.row);
  if (waiting_ != 0) schedule();
}

void ModelledHostPerf::Vcpu::schedule() {
  CounterBudget budget{pmu_};
  std::array<bool, kEventsPerVcpu> fits{};
  for (const bool pinned : {true, false}) {
    for (std::uint8_t n = 0; n < enabled_; ++n) {
      const std::uint8_t slot = order_[n];
      if (events_[slot].attr.pinned == pinned) fits[slot] = budget.add(*events_[slot].row);
    }
  }
  budget_ = budget;
  // Counters are given back before they are taken.
  std::uint8_t kept = 0;
  for (std::uint8_t n = 0; n < enabled_; ++n) {
    const std::uint8_t slot = order_[n];
    Event& event = events_[slot];
    if (!fits[slot] && event.attr.pinned) {
      set_state(event, slot, EventState::kError);
      continue;
    }
    if (!fits[slot]) set_state(event, slot, EventState::kInactive);
    order_[kept++] = slot;
  }
  enabled_ = kept;
  for (std::uint8_t n = 0; n < enabled_; ++n) {
    const std::uint8_t slot = order_[n];
    if (fits[slot]) set_state(events_[slot], slot, EventState::kActive);
  }
}

}  // namespace vpmu::hostperf
