// SPDX-License-Identifier: MIT
//
// One host CPU: who is on it, and who gets the counters of its PMU and its last branch records. The
// events on the PMU are always those that fit when all that are enabled are taken in the order of
// host_perf.hpp.
#pragma once

#include <optional>

#include "hostperf/counter_budget.hpp"
#include "hostperf/event_context.hpp"
#include "hostperf/lbr_unit.hpp"

namespace vpmu::hostperf {

class ModelledHostPerf::Cpu {
 public:
  Cpu(HostCpu number, Context& own, const silicon::x86::LbrModel& lbr);

  [[nodiscard]] HostCpu number() const { return number_; }
  [[nodiscard]] Context& own() { return own_; }
  /// The context of the task that is on the CPU; null if there is none.
  [[nodiscard]] Context* task() const { return task_; }

  /// Another task goes on, or (null) none. It must not be on another CPU.
  void switch_to(Context* task);
  /// An event has just been enabled, and waits.
  void admit(Context& context, std::uint8_t slot);
  /// An event that was active is off. What it had of last branch records goes first.
  void give_back(CounterSet counters);
  void give_back_lbr();
  /// Lets flexible events take turns.
  void rotate(std::uint64_t interval);
  [[nodiscard]] bool anybody_waits() const {
    return own_.waiting() + (task_ != nullptr ? task_->waiting() : 0) != 0;
  }
  /// Decides anew which events are on the PMU.
  void schedule() { schedule(false); }

  /// Null if the model has no last branch records.
  [[nodiscard]] LbrUnit* lbr() { return lbr_ ? &*lbr_ : nullptr; }
  /// An event of the host has them, and wants a guest's branches.
  [[nodiscard]] bool records_for_host() const { return records_for_host_; }
  [[nodiscard]] bool traced() const { return traced_; }
  void set_traced(bool traced);

 private:
  /// `switched`: another task is on the CPU than before, or none.
  void schedule(bool switched);
  /// The last branch records go to the events that now have them.
  void follow_lbr(bool switched);
  [[nodiscard]] LbrOwner lbr_owner();
  [[nodiscard]] bool is_last(const Context& context) const;

  HostCpu number_;
  Context& own_;
  Context* task_ = nullptr;
  CounterBudget budget_;  ///< of the active events
  std::optional<LbrUnit> lbr_;
  bool records_for_host_ = false;
  bool traced_ = false;
};

}  // namespace vpmu::hostperf
