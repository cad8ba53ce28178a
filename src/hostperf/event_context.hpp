// SPDX-License-Identifier: MIT
//
// The events of one target, a vCPU's task or a host CPU: their counts, times and states. Which of
// them are on the PMU is decided by the host CPU (host_cpu.hpp).
//
// All but on_deadline() expect the totals of the vCPU to be handed over, so that no handler runs
// inside: nothing here is seen half-changed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "hostperf/counter_budget.hpp"
#include "hostperf/lbr_unit.hpp"
#include "hostperf/programme.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::hostperf {

struct ModelledHostPerf::Event {
  EventAttr attr{};
  OverflowHandler* handler = nullptr;  ///< null: the slot is free
  Programme programme{};
  EventState state = EventState::kOff;
  bool paused = false;

  /// What is counted while the event is active on a vCPU: the programme's, or a condition's.
  silicon::RawEvent raw = silicon::RawEvent::kInstructions;
  silicon::PrivilegeSet privileges{};

  std::uint64_t count = 0;  ///< up to `start`
  std::uint64_t start = 0;  ///< total at which counting last started, while it counts
  std::uint64_t left = 0;   ///< counts from `start` to the next overflow

  std::uint64_t stamp = 0;         ///< time at which the times were last brought up to date
  std::uint64_t time_enabled = 0;  ///< cycles
  std::uint64_t time_running = 0;  ///< cycles

  [[nodiscard]] bool enabled() const {
    return state == EventState::kActive || state == EventState::kInactive;
  }
};

/// Which active events have the last branch records.
struct LbrUsers {
  LbrRecords* guest = nullptr;  ///< where a guest's LBR event keeps its registers
  bool guest_is_task = false;   ///< it is a task's, not a host CPU's
  std::uint64_t events = 0;     ///< of the host: a bit for each, first the task's, then the CPU's
  std::uint64_t filter = 0;     ///< they all want this
  bool call_stack = false;
  bool want_guests = false;  ///< some do not exclude guests
};

/// Machine time: the host's clock, or what the vCPUs ran.
class ModelledHostPerf::Time {
 public:
  Time(const HostClock* clock, std::span<const ModelledVcpu> vcpus)
      : clock_{clock}, vcpus_{vcpus.begin(), vcpus.end()} {}

  [[nodiscard]] std::uint64_t now() const {
    if (clock_ != nullptr) return clock_->machine_time();
    std::uint64_t cycles = 0;
    for (const ModelledVcpu& vcpu : vcpus_) cycles += cycles_of(vcpu);
    return cycles;
  }
  [[nodiscard]] static std::uint64_t cycles_of(const ModelledVcpu& vcpu) {
    return vcpu.totals->held(silicon::RawEvent::kCycles, silicon::kAllPrivileges);
  }
  [[nodiscard]] const std::vector<ModelledVcpu>& vcpus() const { return vcpus_; }

 private:
  const HostClock* clock_;
  std::vector<ModelledVcpu> vcpus_;
};

class ModelledHostPerf::Context final : public silicon::DeadlineListener {
 public:
  /// `slot`s are numbers of events within the context.
  using SlotSet = std::uint32_t;
  static constexpr std::uint8_t kMaxEvents = 32;

  /// What it is the context of: a vCPU's task, or (null) a host CPU.
  struct Config {
    std::uint32_t first_id;
    std::uint8_t events;
    std::uint8_t first_deadline;
    const ModelledVcpu* task;
    bool has_lbr;
  };
  Context(const Config& config, const Time& time)
      : config_{config},
        time_{time},
        vcpu_{config.task},
        lbr_records_(config.has_lbr ? config.events + 1u : 0) {}
  ~Context();

  /// A free slot; as many as there are events if there is none.
  [[nodiscard]] std::uint8_t free_slot() const;
  [[nodiscard]] std::uint8_t size() const { return config_.events; }
  [[nodiscard]] Event& event(std::uint8_t slot) { return events_[slot]; }
  [[nodiscard]] EventId id(std::uint8_t slot) const {
    return static_cast<EventId>(config_.first_id + slot);
  }

  void enable(std::uint8_t slot);
  void disable(std::uint8_t slot);
  void pause(Event& event);
  void resume(Event& event);
  void set_period(Event& event, std::uint64_t period);
  [[nodiscard]] std::uint64_t value(const Event& event) const {
    return counting(event) ? event.count + (total(event) - event.start) : event.count;
  }
  /// Brings the event's times up to now.
  void account(Event& event) {
    const std::uint64_t now =
        config_.task != nullptr ? Time::cycles_of(*config_.task) : time_.now();
    const std::uint64_t passed = now - event.stamp;
    if (event.enabled()) event.time_enabled += passed;
    if (event.state == EventState::kActive) event.time_running += passed;
    event.stamp = now;
  }

  void on_deadline(std::uint8_t deadline) override;

  /// What a guest's LBR event has while it is not active.
  [[nodiscard]] LbrRecords& lbr_records(std::uint8_t slot) { return lbr_records_[slot]; }
  /// What the task's own events that want the call stack have meanwhile.
  [[nodiscard]] LbrRecords& call_stack() { return lbr_records_[size()]; }
  void find_lbr_users(LbrUsers& users);

  // ---- For the host CPU -------------------------------------------------------------------------

  [[nodiscard]] Cpu* cpu() const { return cpu_; }
  /// On whose PMU the events are. Before leaving, withdraw() all.
  void set_cpu(Cpu* cpu) { cpu_ = cpu; }
  /// The vCPU whose totals are counted; null if there is none.
  [[nodiscard]] const ModelledVcpu* vcpu() const { return vcpu_; }
  /// Of a host CPU: another vCPU, or none, goes on.
  void set_vcpu(const ModelledVcpu* vcpu);

  [[nodiscard]] unsigned waiting() const { return enabled_ - active_; }
  [[nodiscard]] bool has_flexible() const { return flexible_.begin() != flexible_.end(); }
  /// Takes counters for the pinned or the flexible events, in their order; those that fit.
  SlotSet choose(bool pinned, CounterBudget& budget) const;
  /// Takes all but these off the PMU: the pinned ones are then in error.
  void withdraw(SlotSet keep);
  /// The task leaves the CPU: all go off the PMU, and none is in error.
  void withdraw_all();
  void put_on(SlotSet chosen);
  void put_on(std::uint8_t slot) { set_state(slot, EventState::kActive); }
  /// A pinned event that waits does not fit.
  void refuse(std::uint8_t slot) {
    pinned_.remove(slot);
    set_state(slot, EventState::kError);
  }

  /// If some of the flexible events wait, and it was not yet done in this interval, the first one
  /// becomes the last. True: it was done.
  bool rotate(std::uint64_t interval);

  void save_rotation(HostCpuState& state) const;
  void restore_rotation(const HostCpuState& state);
  [[nodiscard]] EventPast past(Event& event);
  void set_past(Event& event, const EventPast& past);

 private:
  /// The enabled events of a kind, in their order.
  class Order {
   public:
    void push_back(std::uint8_t slot) { slots_[size_++] = slot; }
    void remove(std::uint8_t slot) {
      const auto last = slots_.begin() + size_;
      const auto found = std::find(slots_.begin(), last, slot);
      if (found == last) return;
      std::copy(found + 1, last, found);
      --size_;
    }
    void rotate() { std::rotate(slots_.begin(), slots_.begin() + 1, slots_.begin() + size_); }
    [[nodiscard]] const std::uint8_t* begin() const { return slots_.data(); }
    [[nodiscard]] const std::uint8_t* end() const { return slots_.data() + size_; }

   private:
    std::array<std::uint8_t, kMaxEvents> slots_{};
    std::uint8_t size_ = 0;
  };

  [[nodiscard]] bool counting(const Event& event) const {
    return event.state == EventState::kActive && !event.paused && vcpu_ != nullptr;
  }
  [[nodiscard]] Order& order(const Event& event) { return event.attr.pinned ? pinned_ : flexible_; }
  [[nodiscard]] std::uint8_t slot(const Event& event) const {
    return static_cast<std::uint8_t>(&event - events_.data());
  }
  [[nodiscard]] std::uint8_t deadline(const Event& event) const {
    return static_cast<std::uint8_t>(config_.first_deadline + slot(event));
  }
  [[nodiscard]] std::uint64_t total(const Event& event) const {
    return vcpu_->totals->held(event.raw, event.privileges);
  }

  void start_counting(Event& event);
  void stop_counting(Event& event);
  void arm(Event& event);
  /// Of an active event: the vCPU is to know, or need no longer know, what it counts.
  void attach(Event& event);
  void detach(Event& event);
  void set_state(std::uint8_t slot, EventState state);
  /// Of an event that wants last branch records and is off now.
  void leave_lbr(const Event& event, bool was_active);

  const Config config_;
  const Time& time_;
  const ModelledVcpu* vcpu_;
  Cpu* cpu_ = nullptr;
  std::array<Event, kMaxEvents> events_{};  ///< the first size() are used
  Order pinned_;
  Order flexible_;
  std::vector<LbrRecords> lbr_records_;
  unsigned enabled_ = 0;
  unsigned active_ = 0;
  std::uint64_t rotated_ = 0;  ///< the interval in which rotation was last looked at
};

}  // namespace vpmu::hostperf
