// SPDX-License-Identifier: MIT
//
// A host perf that a test drives by hand: it sets the counts, lets events overflow, refuses them
// and takes them away, and sees everything that was asked of it.
#pragma once

#include <deque>
#include <optional>

#include "vpmu/hostperf/host_perf.hpp"

namespace vpmu::hostperf {

class FakeHostPerf : public HostPerf {
 public:
  struct Event {
    EventAttr attr;
    Target target;
    OverflowHandler* handler = nullptr;
    EventState state = EventState::kOff;
    bool paused = false;
    bool open = true;
    std::uint64_t count = 0;
    int period_changes = 0;
  };

  tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                        OverflowHandler& handler) override {
    if (refuse_open) return tl::make_unexpected(*refuse_open);
    events.push_back({.attr = attr, .target = target, .handler = &handler});
    return static_cast<EventId>(events.size() - 1);
  }
  void close(EventId id) override {
    event(id).open = false;
    event(id).state = EventState::kOff;
  }
  void enable(EventId id) override {
    ++enables;
    const bool fits = event(id).state == EventState::kActive || active_events() < room;
    event(id).state = no_room || !fits ? EventState::kError : EventState::kActive;
    event(id).paused = false;
  }
  void disable(EventId id) override { event(id).state = EventState::kOff; }
  void pause(EventId id) override { event(id).paused = true; }
  void resume(EventId id) override { event(id).paused = false; }
  std::optional<EventCount> read(EventId id) override {
    if (event(id).state == EventState::kError && !knows_lost_counts) return std::nullopt;
    return EventCount{.value = event(id).count};
  }
  void set_period(EventId id, std::uint64_t period) override {
    event(id).attr.period = period;
    ++event(id).period_changes;
  }
  [[nodiscard]] EventState state(EventId id) const override {
    return events.at(static_cast<std::size_t>(id)).state;
  }
  [[nodiscard]] HostCpu cpu(EventId) const override { return HostCpu{0}; }

  Event& event(EventId id) { return events.at(static_cast<std::size_t>(id)); }
  /// The newest open event of the counter with that cookie; null if there is none.
  Event* of(std::uint64_t cookie) {
    for (auto it = events.rbegin(); it != events.rend(); ++it) {
      if (it->open && it->attr.cookie == cookie) return &*it;
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t open_events() const {
    std::size_t open = 0;
    for (const Event& event : events) open += event.open ? 1 : 0;
    return open;
  }
  [[nodiscard]] std::size_t active_events() const {
    std::size_t active = 0;
    for (const Event& each : events) active += each.state == EventState::kActive ? 1 : 0;
    return active;
  }
  /// What a pinned event of somebody else does to one of the guest's.
  void take_away(std::uint64_t cookie) { of(cookie)->state = EventState::kError; }
  /// Counts `count` more on every event that runs, and overflows those that reach their period.
  void count(std::uint64_t count) {
    for (std::size_t n = 0; n < events.size(); ++n) {
      Event& event = events[n];
      if (!event.open || event.paused || event.state != EventState::kActive) continue;
      event.count += count;
      if (event.attr.period == 0 || count < event.attr.period) {
        event.attr.period -= event.attr.period == 0 ? 0 : count;
        continue;
      }
      event.handler->on_overflow(static_cast<EventId>(n), event.attr.cookie);
    }
  }

  std::deque<Event> events;
  std::optional<OpenError> refuse_open;
  bool no_room = false;
  std::size_t room = ~std::size_t{0};  ///< for active events
  bool knows_lost_counts = false;      ///< read() in error gives what was counted before
  int enables = 0;
};

}  // namespace vpmu::hostperf
