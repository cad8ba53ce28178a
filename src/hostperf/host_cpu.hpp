// SPDX-License-Identifier: MIT
//
// One host CPU: who is on it, and who gets the counters of its PMU. The events on the PMU are
// always those that fit when all that are enabled are taken in the order of host_perf.hpp.
#pragma once

#include "hostperf/counter_budget.hpp"
#include "hostperf/event_context.hpp"

namespace vpmu::hostperf {

class ModelledHostPerf::Cpu {
 public:
  Cpu(HostCpu number, Context& own) : number_{number}, own_{own} { own.set_cpu(this); }

  [[nodiscard]] HostCpu number() const { return number_; }
  [[nodiscard]] Context& own() { return own_; }
  /// The context of the task that is on the CPU; null if there is none.
  [[nodiscard]] Context* task() const { return task_; }

  /// Another task goes on, or (null) none. It must not be on another CPU.
  void switch_to(Context* task);
  /// An event has just been enabled, and waits.
  void admit(Context& context, std::uint8_t slot);
  /// An event that was active is off.
  void give_back(CounterSet counters);
  /// Lets flexible events take turns.
  void rotate(std::uint64_t interval);
  [[nodiscard]] bool anybody_waits() const {
    return own_.waiting() + (task_ != nullptr ? task_->waiting() : 0) != 0;
  }
  /// Decides anew which events are on the PMU.
  void schedule();

 private:
  HostCpu number_;
  Context& own_;
  Context* task_ = nullptr;
  CounterBudget budget_;  ///< of the active events
};

}  // namespace vpmu::hostperf
