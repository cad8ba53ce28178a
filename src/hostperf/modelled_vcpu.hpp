// SPDX-License-Identifier: MIT
//
// The events of one vCPU on the modelled silicon, and their schedule on its PMU.
#pragma once

#include <array>
#include <cstdint>

#include "hostperf/counter_budget.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::hostperf {

struct ModelledHostPerf::Event {
  EventAttr attr;
  OverflowHandler* handler = nullptr;  ///< null: the slot is free
  const silicon::x86::EventRow* row = nullptr;
  silicon::PrivilegeSet privileges;
  EventState state = EventState::kOff;
  bool paused = false;

  std::uint64_t count = 0;  ///< up to `start`
  std::uint64_t start = 0;  ///< total at which counting last started, while it counts
  std::uint64_t left = 0;   ///< counts from `start` to the next overflow

  std::uint64_t stamp = 0;         ///< cycles at which the times were last brought up to date
  std::uint64_t time_enabled = 0;  ///< cycles
  std::uint64_t time_running = 0;  ///< cycles

  [[nodiscard]] bool enabled() const {
    return state == EventState::kActive || state == EventState::kInactive;
  }
  [[nodiscard]] bool counting() const { return state == EventState::kActive && !paused; }
};

class ModelledHostPerf::Vcpu final : public silicon::DeadlineListener {
 public:
  Vcpu(const silicon::x86::PmuModel& pmu, ModelledVcpu vcpu, std::uint32_t index)
      : pmu_{pmu}, vcpu_{vcpu}, budget_{pmu}, index_{index} {}
  ~Vcpu();

  /// A free slot; kEventsPerVcpu if there is none.
  [[nodiscard]] std::uint8_t free_slot() const;
  [[nodiscard]] Event& event(std::uint8_t slot) { return events_[slot]; }

  void enable(std::uint8_t slot);
  void disable(std::uint8_t slot);
  void pause(Event& event, std::uint8_t slot);
  void resume(Event& event, std::uint8_t slot);
  void set_period(Event& event, std::uint8_t slot, std::uint64_t period);
  [[nodiscard]] std::uint64_t value(const Event& event) const;
  /// Brings the event's times up to now.
  void account(Event& event);

  void on_deadline(std::uint8_t slot) override;

 private:
  void start_counting(Event& event, std::uint8_t slot);
  void stop_counting(Event& event, std::uint8_t slot);
  void arm(const Event& event, std::uint8_t slot);
  void set_state(Event& event, std::uint8_t slot, EventState state);
  /// Decides anew which of the enabled events are on the PMU.
  void schedule();

  const silicon::x86::PmuModel& pmu_;
  ModelledVcpu vcpu_;
  CounterBudget budget_;  ///< of the active events
  std::uint32_t index_;
  std::array<Event, kEventsPerVcpu> events_{};
  /// The enabled events, longest enabled first.
  std::array<std::uint8_t, kEventsPerVcpu> order_{};
  std::uint8_t enabled_ = 0;
  std::uint8_t waiting_ = 0;  ///< how many of them are inactive
};

}  // namespace vpmu::hostperf
