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
  schedule(true);
}

void ModelledHostPerf::Cpu::admit(Context& context, std::uint8_t slot) {
  const Event& event = context.event(slot);
  const unsigned waiting = own_.waiting() + (task_ != nullptr ? task_->waiting() : 0);
  // If nobody else waits and it fits beside the others, nothing changes for them; nor if it is
  // pinned, does not fit, and nobody is on the PMU who would have to go for it.
  const Programme& programme = event.programme;
  if (waiting == 1 && !programme.lbr.any() &&
      budget_.add(programme.counters, event.attr.exclusive)) {
    context.put_on(slot);
  } else if (waiting == 1 && is_last(context) && event.attr.pinned && !programme.lbr.any()) {
    context.refuse(slot);
  } else {
    schedule();
  }
}

/// Whether nobody has to make room for another pinned event of that context.
bool ModelledHostPerf::Cpu::is_last(const Context& context) const {
  if (&context == task_) return !own_.has_flexible() && !task_->has_flexible();
  return task_ == nullptr && !own_.has_flexible();
}

void ModelledHostPerf::Cpu::give_back(CounterSet counters) {
  budget_.remove(counters);
  if (anybody_waits()) schedule();
}

void ModelledHostPerf::Cpu::rotate(std::uint64_t interval) {
  const bool own = own_.rotate(interval);
  const bool task = task_ != nullptr && task_->rotate(interval);
  if (own || task) schedule();
}

void ModelledHostPerf::Cpu::schedule(bool switched) {
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
  follow_lbr(switched);
}

}  // namespace vpmu::hostperf
