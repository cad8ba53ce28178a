// SPDX-License-Identifier: MIT
//
// What the host itself does while guests run: a watchdog, a profiler, a trace. Its events take
// counters and last branch records away from the guests', pinned ones before the guests' (which are
// pinned too), flexible ones only what those leave.
//
// Every event is opened on its host CPUs before the guest runs, in the order given. It is enabled
// at one machine time and disabled at another: at the first instruction boundary there is then,
// between two entries of the guest, whatever the guest does. What happens at the same machine time
// happens in the order given, but what ends comes before what begins.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "machine/clock.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::machine {

/// Branches that the host itself retires, as far as its event has the last branch records: when it
/// is enabled, and again before it is disabled. What a guest must never see.
struct HostBranches {
  static constexpr std::uint32_t kMost = 1000;
  std::uint32_t count = 0;
  std::uint64_t from = 0;  ///< addresses of 48 bits, canonical
  std::uint64_t to = 0;
  friend bool operator==(const HostBranches&, const HostBranches&) = default;
};

struct HostEvent {
  static constexpr std::uint64_t kEveryCpu = ~std::uint64_t{0};
  static constexpr std::uint64_t kForever = Timer::kNever;
  /// The shortest `every`.
  static constexpr std::uint64_t kShortestRound = 1000;

  std::string name;  ///< as reports call it
  hostperf::EventAttr attr;
  /// No event: the last branch records are used for a trace. Nothing of `attr` counts.
  bool trace = false;
  std::uint64_t cpus = kEveryCpu;  ///< bit n: host CPU n
  std::uint64_t at = 0;            ///< machine time in cycles; 0: before the guest runs
  std::uint64_t until = kForever;  ///< after `at`
  /// From `at` to `until`, and again so many cycles later, and so on; 0: once.
  std::uint64_t every = 0;
  HostBranches branches{};  ///< with attr.branch_type only

  friend bool operator==(const HostEvent&, const HostEvent&) = default;
};

/// How far an event has come on one host CPU.
struct HostEventProgress {
  bool on = false;                     ///< enabled and not yet disabled, whether or not it fits
  std::uint64_t next = Timer::kNever;  ///< when that changes
  std::uint64_t times = 0;             ///< that it was enabled
  std::uint64_t began = 0;             ///< machine time at which it was last enabled, if ever
  std::uint64_t ended = 0;             ///< and disabled
  std::uint64_t overflows = 0;
  std::uint64_t retired_branches = 0;  ///< HostBranches, when the event had the records
  std::uint64_t sampled_branches = 0;  ///< records that were there at its overflows
  friend bool operator==(const HostEventProgress&, const HostEventProgress&) = default;
};

struct HostActivityState {
  struct Event : hostperf::EventPast, HostEventProgress {
    bool error = false;  ///< pinned, and did not fit
    friend bool operator==(const Event&, const Event&) = default;
  };
  struct Cpu {
    std::int32_t vcpu = -1;  ///< that is on it; -1: none
    std::uint64_t rotation_interval = 0;
    std::vector<std::uint32_t> order;  ///< of the flexible events that are on, by place in `events`
    std::vector<Event> events;         ///< in the order given, also those of other CPUs only
    hostperf::LbrSwitches lbr_switches{};
    /// Last branch records that the host has there, without what a vCPU's CPU holds back.
    std::optional<silicon::x86::LbrState> host_records{};
    friend bool operator==(const Cpu&, const Cpu&) = default;
  };
  std::vector<Cpu> cpus;
  friend bool operator==(const HostActivityState&, const HostActivityState&) = default;
};

class HostActivity final : private hostperf::OverflowHandler, private Timer {
 public:
  /// Both must outlive it.
  HostActivity(hostperf::ModelledHostPerf& perf, Clock& clock)
      : Timer{clock}, perf_{perf}, clock_{clock} {}
  ~HostActivity();
  HostActivity(const HostActivity&) = delete;
  HostActivity& operator=(const HostActivity&) = delete;

  /// Opens the events, and enables those whose time has come. Once. An error names the event and
  /// what the host has not.
  Result<void> open(std::span<const HostEvent> events);

  struct Reading : HostEventProgress {
    hostperf::EventCount count;  ///< of a trace: nothing
    /// Of a trace: active or off.
    hostperf::EventState state = hostperf::EventState::kOff;
  };
  [[nodiscard]] const std::vector<HostEvent>& events() const { return events_; }
  [[nodiscard]] unsigned cpus() const { return perf_.host_cpus(); }
  [[nodiscard]] bool is_on(std::size_t event, unsigned cpu) const {
    return (events_[event].cpus >> cpu & 1) != 0;
  }
  /// Event `event` of events() on that host CPU, one of its own.
  [[nodiscard]] Reading read(std::size_t event, unsigned cpu) const;

  /// What moving last branch records from task to task has cost on a host CPU, also before the
  /// guest was restored here.
  [[nodiscard]] hostperf::LbrSwitches lbr_switches(unsigned cpu) const;

  /// Between two runs.
  [[nodiscard]] HostActivityState save() const;
  /// With the same events open. In two steps: which of them are on, when the clock has its time,
  /// before anybody else's events ask for the same counters; and what they have counted, after all
  /// vCPUs have been restored.
  Result<void> restore_schedule(const HostActivityState& state, std::size_t vcpus);
  Result<void> restore_counts(const HostActivityState& state);

 private:
  struct Opened {
    hostperf::EventId id = hostperf::kNoEvent;  ///< none: a trace, or of other CPUs
    bool error = false;  ///< it is off because it did not fit where it was saved
    HostEventProgress progress;
  };

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;
  void on_timer() override;

  [[nodiscard]] Result<void> check(const HostEvent& event) const;
  Result<void> open_on(unsigned cpu);
  [[nodiscard]] Result<void> check(const HostActivityState::Cpu& cpu, std::size_t vcpus) const;
  [[nodiscard]] Result<void> check(const HostActivityState::Event& event, bool here) const;

  /// What happens next; its `next` may be never.
  [[nodiscard]] std::size_t first_to_change() const;
  void change(std::size_t place);
  void begin(std::size_t place);
  void end(std::size_t place);
  /// Takes what the event or trace uses, or gives it back, as its progress says.
  void follow(std::size_t place);
  /// Has an event of the host's the last branch records of that CPU?
  [[nodiscard]] bool has_records(unsigned cpu) const;
  [[nodiscard]] bool is_traced(hostperf::HostCpu cpu) const;
  void retire_branches(std::size_t place);
  void arm_next();

  [[nodiscard]] std::size_t place(std::size_t event, unsigned cpu) const {
    return cpu * events_.size() + event;
  }
  [[nodiscard]] const HostEvent& event_at(std::size_t place) const {
    return events_[place % events_.size()];
  }
  [[nodiscard]] hostperf::HostCpu cpu_at(std::size_t place) const {
    return static_cast<hostperf::HostCpu>(place / events_.size());
  }
  [[nodiscard]] hostperf::EventState state(std::size_t place) const;

  hostperf::ModelledHostPerf& perf_;
  const Clock& clock_;
  std::vector<HostEvent> events_;
  std::vector<Opened> opened_;  ///< all of the first host CPU, then all of the next one
  /// By host CPU: what was before less what restoring has cost, modulo 2^64; empty: nothing.
  std::vector<hostperf::LbrSwitches> lbr_switches_before_;
};

}  // namespace vpmu::machine
