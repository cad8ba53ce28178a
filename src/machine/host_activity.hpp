// SPDX-License-Identifier: MIT
//
// What the host itself counts while guests run: a watchdog, a profiler. Its events take counters
// away from the guests', pinned ones before the guests' (which are pinned too), flexible ones only
// what those leave.
//
// Every event is opened on every host CPU before the guest runs, in the order given, and stays.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::machine {

struct HostEvent {
  std::string name;  ///< as reports call it
  hostperf::EventAttr attr;
};

struct HostActivityState {
  struct Event : hostperf::EventPast {
    std::uint64_t overflows = 0;
    friend bool operator==(const Event&, const Event&) = default;
  };
  struct Cpu {
    std::int32_t vcpu = -1;  ///< that is on it; -1: none
    std::uint64_t rotation_interval = 0;
    std::vector<std::uint32_t> order;  ///< of the flexible events, by their places in `events`
    std::vector<Event> events;         ///< in the order in which they were given
    friend bool operator==(const Cpu&, const Cpu&) = default;
  };
  std::vector<Cpu> cpus;
  friend bool operator==(const HostActivityState&, const HostActivityState&) = default;
};

class HostActivity final : private hostperf::OverflowHandler {
 public:
  /// `perf` must outlive it.
  explicit HostActivity(hostperf::ModelledHostPerf& perf) : perf_{perf} {}
  ~HostActivity();
  HostActivity(const HostActivity&) = delete;
  HostActivity& operator=(const HostActivity&) = delete;

  /// Opens and enables the events. Once. An error names the event that the host cannot count.
  Result<void> open(std::span<const HostEvent> events);

  struct Reading {
    hostperf::EventCount count;
    std::uint64_t overflows = 0;
    hostperf::EventState state = hostperf::EventState::kOff;
  };
  [[nodiscard]] const std::vector<HostEvent>& events() const { return events_; }
  [[nodiscard]] unsigned cpus() const { return perf_.host_cpus(); }
  /// Event `event` of events() on that host CPU.
  [[nodiscard]] Reading read(std::size_t event, unsigned cpu) const;

  /// Between two runs.
  [[nodiscard]] HostActivityState save() const;
  /// With the same events open; after the clock and all vCPUs have been restored.
  Result<void> restore(const HostActivityState& state, std::size_t vcpus);

 private:
  struct Opened {
    hostperf::EventId id;
    std::uint64_t overflows = 0;
  };

  void on_overflow(hostperf::EventId event, std::uint64_t cookie) override;
  [[nodiscard]] Result<void> check(const HostActivityState::Cpu& cpu, std::size_t vcpus) const;
  [[nodiscard]] std::size_t place(std::size_t event, unsigned cpu) const {
    return cpu * events_.size() + event;
  }

  hostperf::ModelledHostPerf& perf_;
  std::vector<HostEvent> events_;
  std::vector<Opened> opened_;  ///< all of the first host CPU, then all of the next one
};

}  // namespace vpmu::machine
