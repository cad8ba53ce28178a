// SPDX-License-Identifier: MIT
//
// Counts of a guest's events from outside, and of what they were in every interval of machine time:
// what `vpmu stat` shows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "machine/guest_machine.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::machine {

struct CountedEvent {
  std::string name;  ///< for messages
  hostperf::EventAttr attr;
};

/// By event, then by vCPU: `counts[event][vcpu]`.
struct CountsReading {
  struct Count : hostperf::EventCount {
    bool error = false;  ///< pinned, and did not fit
  };
  std::uint64_t time = 0;  ///< machine time in cycles
  std::vector<std::vector<Count>> counts;
};

class CountsObserver {
 public:
  /// At the first instruction boundary after an interval's end: everything since the events were
  /// opened.
  virtual void on_interval(const CountsReading& reading) = 0;

 protected:
  ~CountsObserver() = default;
};

class EventCounts {
 public:
  /// Opens each event on each vCPU and enables it, in that order. Before the machine's first run,
  /// or between two. `interval`: cycles of machine time, 0 for none; `observer` may then be null.
  static Result<std::unique_ptr<EventCounts>> attach(GuestMachine& machine,
                                                     const std::vector<CountedEvent>& events,
                                                     std::uint64_t interval = 0,
                                                     CountsObserver* observer = nullptr);
  ~EventCounts();
  EventCounts(const EventCounts&) = delete;
  EventCounts& operator=(const EventCounts&) = delete;

  [[nodiscard]] CountsReading read() const;

 private:
  EventCounts();
  struct Private;
  std::unique_ptr<Private> private_;
};

}  // namespace vpmu::machine
