// SPDX-License-Identifier: MIT
#include "hostperf/host_cpu.hpp"

namespace vpmu::hostperf {

ModelledHostPerf::Cpu::Cpu(HostCpu number, Context& own, const silicon::x86::LbrModel& lbr)
    : number_{number}, own_{own} {
  own.set_cpu(this);
  if (lbr.exists()) lbr_.emplace(lbr);
}

void ModelledHostPerf::Cpu::switch_to(Context* task) {
  if (task_ != nullptr) {
    task_->withdraw_all();
    task_->set_cpu(nullptr);
  }
  own_.set_vcpu(task != nullptr ? task->vcpu() : nullptr);
  task_ = task;
  if (task_ != nullptr) task_->set_cpu(this);
  place_events();
  follow_lbr(true);
}

void ModelledHostPerf::Cpu::admit(Context& context, std::uint8_t slot) {
  const Event& event = context.event(slot);
  const unsigned waiting = own_.waiting() + (task_ != nullptr ? task_->waiting() : 0);
  // If nobody else waits and it fits beside the others, nothing changes for them.
  const LbrUse& lbr = event.programme.lbr;
  if (waiting == 1 && budget_.add(event.programme.counters, event.attr.exclusive, lbr)) {
    context.put_on(slot);
    if (lbr.kind != LbrUse::Kind::kNone) follow_lbr(false);
  } else {
    schedule();
  }
}

void ModelledHostPerf::Cpu::give_back(const Programme& programme) {
  budget_.remove(programme.counters, programme.lbr);
  if (anybody_waits()) {
    schedule();
  } else if (programme.lbr.kind != LbrUse::Kind::kNone) {
    follow_lbr(false);
  }
}

void ModelledHostPerf::Cpu::rotate(std::uint64_t interval) {
  const bool own = own_.rotate(interval);
  const bool task = task_ != nullptr && task_->rotate(interval);
  if (own || task) schedule();
}

void ModelledHostPerf::Cpu::schedule() {
  place_events();
  follow_lbr(false);
}

void ModelledHostPerf::Cpu::place_events() {
  CounterBudget budget;
  if (traced_) budget.without_lbr();
  Context::SlotSet own = 0, task = 0;
  for (const bool pinned : {true, false}) {
    own |= own_.choose(pinned, budget);
    if (task_ != nullptr) task |= task_->choose(pinned, budget);
  }
  budget_ = budget;
  // Counters are given back before they are taken.
  own_.withdraw(own);
  if (task_ != nullptr) task_->withdraw(task);
  own_.put_on(own);
  if (task_ != nullptr) task_->put_on(task);
}

// ---- Last branch records ------------------------------------------------------------------------

void ModelledHostPerf::Cpu::set_traced(bool traced) {
  if (traced_ == traced) return;
  traced_ = traced;
  schedule();
}

void ModelledHostPerf::Cpu::follow_lbr(bool switched) {
  if (!lbr_) return;
  const LbrOwner owner = budget_.lbr_used() ? lbr_owner() : LbrOwner{};
  if (owner.kind == LbrOwner::Kind::kNobody) {
    records_for_host_ = false;
    if (!lbr_->owned()) return;
  }
  lbr_->hand_over(owner, switched, task_ != nullptr ? Time::cycles_of(*task_->vcpu()) : 0);
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
