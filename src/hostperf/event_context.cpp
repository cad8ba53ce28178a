// SPDX-License-Identifier: MIT
#include "hostperf/event_context.hpp"

#include "hostperf/host_cpu.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::hostperf {

ModelledHostPerf::Context::~Context() {
  for (Event& event : events_) set_state(slot(event), EventState::kOff);
}

std::uint8_t ModelledHostPerf::Context::free_slot() const {
  std::uint8_t slot = 0;
  while (slot < size() && events_[slot].handler != nullptr) ++slot;
  return slot;
}

// ---- Counting -----------------------------------------------------------------------------------

void ModelledHostPerf::Context::start_counting(Event& event) {
  event.start = total(event);
  arm(event);
}

void ModelledHostPerf::Context::stop_counting(Event& event) {
  const std::uint64_t counted = total(event) - event.start;
  event.count += counted;
  event.start += counted;
  // Nothing left, and the deadline not yet fired: the overflow is still to come.
  event.left = counted < event.left ? event.left - counted : 0;
  vcpu_->deadlines->disarm(deadline(event));
}

void ModelledHostPerf::Context::arm(Event& event) {
  constexpr std::uint64_t kNever = silicon::Deadlines::kNever;
  if (event.attr.period == 0 || event.left >= kNever - event.start) {
    vcpu_->deadlines->disarm(deadline(event));
  } else {
    vcpu_->deadlines->arm(deadline(event), event.raw, event.privileges, event.start + event.left,
                          *this);
  }
}

void ModelledHostPerf::Context::set_period(Event& event, std::uint64_t period) {
  const bool counts = counting(event);
  if (counts) stop_counting(event);
  event.attr.period = period;
  event.left = period;
  if (counts) start_counting(event);
}

void ModelledHostPerf::Context::pause(Event& event) {
  if (counting(event)) stop_counting(event);
  event.paused = true;
}

void ModelledHostPerf::Context::resume(Event& event) {
  if (!event.paused) return;
  event.paused = false;
  if (counting(event)) start_counting(event);
}

void ModelledHostPerf::Context::on_deadline(std::uint8_t deadline) {
  const auto slot = static_cast<std::uint8_t>(deadline - config_.first_deadline);
  Event& event = events_[slot];
  const std::uint64_t counted = total(event) - event.start;
  const std::uint64_t late = counted - event.left;  // an instruction may count more than one
  event.count += counted;
  event.start += counted;
  event.left = event.attr.period - late % event.attr.period;
  arm(event);
  event.handler->on_overflow(id(slot), event.attr.cookie);
}

// ---- States -------------------------------------------------------------------------------------

void ModelledHostPerf::Context::attach(Event& event) {
  event.raw = event.programme.raw;
  event.privileges = event.programme.privileges;
  if (event.programme.condition && !event.privileges.empty()) {
    const auto watched = vcpu_->conditions->watch(*event.programme.condition);
    ensure(watched.has_value());  // there are as many slots as counters
    event.raw = *watched;
    event.privileges = silicon::kAllPrivileges;
  }
  vcpu_->totals->demand(event.programme.raw);
  if (!event.paused) start_counting(event);
}

void ModelledHostPerf::Context::detach(Event& event) {
  if (!event.paused) stop_counting(event);
  vcpu_->totals->release(event.programme.raw);
  if (event.programme.condition && !event.programme.privileges.empty()) {
    vcpu_->conditions->unwatch(event.raw);
  }
}

void ModelledHostPerf::Context::set_state(std::uint8_t slot, EventState state) {
  Event& event = events_[slot];
  if (event.state == state) return;
  account(event);
  if (event.state == EventState::kActive) {
    if (vcpu_ != nullptr) detach(event);
    --active_;
  }
  const bool was_enabled = event.enabled();
  event.state = state;
  enabled_ += static_cast<unsigned>(event.enabled()) - static_cast<unsigned>(was_enabled);
  if (state == EventState::kActive) {
    if (vcpu_ != nullptr) attach(event);
    ++active_;
  }
}

void ModelledHostPerf::Context::enable(std::uint8_t slot) {
  Event& event = events_[slot];
  if (event.enabled()) return;
  order(event).push_back(slot);
  event.paused = false;
  set_state(slot, EventState::kInactive);
  if (cpu_ != nullptr) cpu_->admit(*this, slot);
}

void ModelledHostPerf::Context::disable(std::uint8_t slot) {
  Event& event = events_[slot];
  if (event.enabled()) order(event).remove(slot);
  const bool was_active = event.state == EventState::kActive;
  set_state(slot, EventState::kOff);
  event.paused = false;
  if (event.programme.lbr.any()) leave_lbr(event, was_active);
  if (was_active) cpu_->give_back(event.programme.counters);
}

// ---- For the host CPU ---------------------------------------------------------------------------

void ModelledHostPerf::Context::set_vcpu(const ModelledVcpu* vcpu) {
  const auto for_each_active = [this](auto change) {
    if (active_ == 0) return;
    for (Event& event : events_) {
      if (event.state == EventState::kActive) (this->*change)(event);
    }
  };
  if (vcpu_ != nullptr) for_each_active(&Context::detach);
  vcpu_ = vcpu;
  if (vcpu_ != nullptr) for_each_active(&Context::attach);
}

ModelledHostPerf::Context::SlotSet ModelledHostPerf::Context::choose(bool pinned,
                                                                     CounterBudget& budget) const {
  SlotSet chosen = 0;
  for (const std::uint8_t slot : pinned ? pinned_ : flexible_) {
    const Event& event = events_[slot];
    if (budget.add(event.programme.counters, event.attr.exclusive, event.programme.lbr)) {
      chosen |= SlotSet{1} << slot;
    }
  }
  return chosen;
}

void ModelledHostPerf::Context::withdraw(SlotSet keep) {
  Order kept;
  for (const std::uint8_t slot : pinned_) {
    if ((keep >> slot & 1) != 0) {
      kept.push_back(slot);
    } else {
      set_state(slot, EventState::kError);
    }
  }
  pinned_ = kept;
  for (const std::uint8_t slot : flexible_) {
    if ((keep >> slot & 1) == 0) set_state(slot, EventState::kInactive);
  }
}

void ModelledHostPerf::Context::withdraw_all() {
  for (const Order* order : {&pinned_, &flexible_}) {
    for (const std::uint8_t slot : *order) set_state(slot, EventState::kInactive);
  }
}

void ModelledHostPerf::Context::put_on(SlotSet chosen) {
  for (; chosen != 0; chosen &= chosen - 1) {
    put_on(static_cast<std::uint8_t>(std::countr_zero(chosen)));
  }
}

bool ModelledHostPerf::Context::rotate(std::uint64_t interval) {
  if (rotated_ == interval) return false;
  rotated_ = interval;
  if (waiting() == 0) return false;
  flexible_.rotate();
  return true;
}

// ---- Snapshots ----------------------------------------------------------------------------------

void ModelledHostPerf::Context::save_rotation(HostCpuState& state) const {
  state.rotation_interval = rotated_;
  for (const std::uint8_t slot : flexible_) state.order.push_back(id(slot));
}

void ModelledHostPerf::Context::restore_rotation(const HostCpuState& state) {
  rotated_ = state.rotation_interval;
  for (const EventId moved : state.order) {
    const std::uint32_t slot = static_cast<std::uint32_t>(moved) - config_.first_id;
    ensure(slot < size() && events_[slot].enabled() && !events_[slot].attr.pinned);
    flexible_.remove(static_cast<std::uint8_t>(slot));
    flexible_.push_back(static_cast<std::uint8_t>(slot));
  }
}

EventPast ModelledHostPerf::Context::past(Event& event) {
  account(event);
  std::uint64_t left = event.left;
  if (counting(event)) {
    const std::uint64_t counted = total(event) - event.start;
    left = counted < left ? left - counted : 0;
  }
  return {value(event), left, event.time_enabled, event.time_running};
}

void ModelledHostPerf::Context::set_past(Event& event, const EventPast& past) {
  account(event);
  event.count = past.count;
  event.left = past.left;
  event.time_enabled = past.time_enabled_cycles;
  event.time_running = past.time_running_cycles;
  if (counting(event)) start_counting(event);
}

}  // namespace vpmu::hostperf
