// SPDX-License-Identifier: MIT
#include "machine/profiler/event_counts.hpp"

#include "machine/profiler/opening.hpp"

namespace vpmu::machine {

using hostperf::EventAttr;
using hostperf::EventId;
using hostperf::EventState;
using hostperf::Target;
using hostperf::VcpuIndex;

struct EventCounts::Private final : Timer, hostperf::OverflowHandler {
  Private(GuestMachine& machine_in, std::uint64_t interval_in, CountsObserver* observer_in)
      : Timer{machine_in.clock(), Wakes::kNobody},
        machine{machine_in},
        interval{interval_in},
        observer{observer_in},
        began{machine_in.now()} {}
  ~Private() {
    for (const auto& of_event : ids) {
      for (const EventId id : of_event) machine.host_perf().close(id);
    }
  }
  Private(const Private&) = delete;
  Private& operator=(const Private&) = delete;

  Result<void> open(const std::vector<CountedEvent>& events);
  [[nodiscard]] CountsReading read() const;
  void on_timer() override;
  void on_overflow(EventId, std::uint64_t) override {}  // nobody has a period

  GuestMachine& machine;
  const std::uint64_t interval;
  CountsObserver* const observer;
  const std::uint64_t began;
  std::vector<std::vector<EventId>> ids;  ///< by event, then by vCPU
};

Result<void> EventCounts::Private::open(const std::vector<CountedEvent>& events) {
  if (auto checked = check_number(events.size()); !checked) return checked;
  for (const CountedEvent& event : events) {
    EventAttr attr = event.attr;
    attr.period = 0;
    auto& of_event = ids.emplace_back();
    for (std::uint32_t n = 0; n < machine.facts().vcpus; ++n) {
      const auto id = open_event(machine, event.name, attr, Target::of(VcpuIndex{n}), *this);
      if (!id) return tl::unexpected(id.error());
      of_event.push_back(*id);
    }
  }
  for (const auto& of_event : ids) {
    for (const EventId id : of_event) machine.host_perf().enable(id);
  }
  if (interval != 0 && observer != nullptr && interval < kNever - began) arm(began + interval);
  return {};
}

CountsReading EventCounts::Private::read() const {
  hostperf::ModelledHostPerf& perf = machine.host_perf();
  CountsReading reading{.time = machine.now(), .counts = {}};
  for (const auto& of_event : ids) {
    auto& counts = reading.counts.emplace_back();
    for (const EventId id : of_event) {
      const auto count = perf.read(id).value_or(hostperf::EventCount{});
      counts.push_back({{count}, perf.state(id) == EventState::kError});
    }
  }
  return reading;
}

void EventCounts::Private::on_timer() {
  const std::uint64_t passed = machine.now() - began;
  const std::uint64_t next = passed - passed % interval;
  if (interval < kNever - began - next) arm(began + next + interval);
  observer->on_interval(read());
}

EventCounts::EventCounts() = default;
EventCounts::~EventCounts() = default;

Result<std::unique_ptr<EventCounts>> EventCounts::attach(GuestMachine& machine,
                                                         const std::vector<CountedEvent>& events,
                                                         std::uint64_t interval,
                                                         CountsObserver* observer) {
  std::unique_ptr<EventCounts> counts{new EventCounts};
  counts->private_ = std::make_unique<Private>(machine, interval, observer);
  if (auto opened = counts->private_->open(events); !opened) {
    return tl::unexpected(opened.error());
  }
  return counts;
}

CountsReading EventCounts::read() const {
  return private_->read();
}

}  // namespace vpmu::machine
