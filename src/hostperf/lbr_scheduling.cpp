// SPDX-License-Identifier: MIT
//
// What host CPUs and their events do about last branch records. Apart from the rest, which hardly
// ever has anything to do with them.
#include "hostperf/event_context.hpp"
#include "hostperf/host_cpu.hpp"

namespace vpmu::hostperf {

// ---- Of a target's events -----------------------------------------------------------------------

void ModelledHostPerf::Context::find_lbr_users(LbrUsers& users) {
  for (const Order* order : {&pinned_, &flexible_}) {
    for (const std::uint8_t slot : *order) {
      const Event& event = events_[slot];
      const LbrUse& use = event.programme.lbr;
      if (event.state != EventState::kActive || !use.any()) continue;
      if (use.kind == LbrUse::Kind::kGuest) {
        users.guest = &lbr_records_[slot];
        users.guest_is_task = config_.task != nullptr;
        continue;
      }
      users.events |= std::uint64_t{1} << (config_.first_deadline + slot);
      users.filter = use.filter;
      users.call_stack = use.call_stack;
      users.want_guests |= !event.attr.exclude_guest;
    }
  }
}

void ModelledHostPerf::Context::leave_lbr(const Event& event, bool was_active) {
  if (was_active) cpu_->give_back_lbr();
  if (!event.programme.lbr.call_stack) return;
  // The call stack ends with the last event that wants it.
  for (const Order* order : {&pinned_, &flexible_}) {
    for (const std::uint8_t slot : *order) {
      if (events_[slot].programme.lbr.call_stack) return;
    }
  }
  call_stack().valid = false;
}

// ---- Of a host CPU ------------------------------------------------------------------------------

void ModelledHostPerf::Cpu::set_traced(bool traced) {
  if (traced_ == traced) return;
  traced_ = traced;
  schedule();
}

void ModelledHostPerf::Cpu::give_back_lbr() {
  budget_.remove_lbr();
  follow_lbr(false);
}

void ModelledHostPerf::Cpu::follow_lbr(bool switched) {
  if (!lbr_ || (!budget_.lbr_used() && !lbr_->owned())) return;
  lbr_->hand_over(lbr_owner(), switched, task_ != nullptr ? Time::cycles_of(*task_->vcpu()) : 0);
}

LbrOwner ModelledHostPerf::Cpu::lbr_owner() {
  LbrUsers users;
  own_.find_lbr_users(users);
  const bool tasks_only = users.events == 0;
  if (task_ != nullptr) task_->find_lbr_users(users);
  records_for_host_ = users.want_guests;
  if (users.guest != nullptr) {
    return {.kind = users.guest_is_task ? LbrOwner::Kind::kGuest : LbrOwner::Kind::kGuestsOfCpu,
            .records = users.guest};
  }
  if (users.events == 0) return {};
  if (tasks_only && users.call_stack) {
    return {.kind = LbrOwner::Kind::kCallStack,
            .records = &task_->call_stack(),
            .filter = users.filter};
  }
  return {.kind = LbrOwner::Kind::kHost, .filter = users.filter, .audience = users.events};
}

}  // namespace vpmu::hostperf
