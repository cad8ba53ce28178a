// SPDX-License-Identifier: MIT
//
// A host perf that a test drives by hand: it sets the counts, lets events overflow, refuses them
// and takes them away, and sees everything that was asked of it. Of last branch records there is
// one unit; the registers of a guest's event are wherever the event is.
#pragma once

#include <deque>
#include <optional>

#include "vpmu/hostperf/host_perf.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::hostperf {

class FakeHostPerf : public HostPerf, public LbrHost {
 public:
  struct Event {
    EventAttr attr;
    Target target;
    OverflowHandler* handler = nullptr;
    EventState state = EventState::kOff;
    bool paused = false;
    bool open = true;
    std::uint64_t count = 0;
    std::uint64_t time_running_ns = 0;
    int period_changes = 0;
    std::optional<silicon::x86::LbrStack> lbr{};
  };

  tl::expected<EventId, OpenError> open(const EventAttr& attr, Target target,
                                        OverflowHandler& handler) override {
    if (refuse_open) return tl::make_unexpected(*refuse_open);
    const bool lbr = attr.config == kGuestLbrEvent;
    lbr_opens += lbr ? 1 : 0;
    if (lbr && refuse_lbr) return tl::make_unexpected(*refuse_lbr);
    events.push_back({.attr = attr, .target = target, .handler = &handler});
    if (lbr) events.back().lbr.emplace(model);
    return static_cast<EventId>(events.size() - 1);
  }
  void close(EventId id) override {
    event(id).open = false;
    event(id).state = EventState::kOff;
  }
  void enable(EventId id) override {
    ++enables;
    const bool fits = event(id).state == EventState::kActive || active_events() < room;
    const bool taken = event(id).lbr && lbr_taken;
    event(id).state = no_room || taken || !fits ? EventState::kError : EventState::kActive;
    event(id).paused = false;
  }
  void disable(EventId id) override { event(id).state = EventState::kOff; }
  void pause(EventId id) override { event(id).paused = true; }
  void resume(EventId id) override { event(id).paused = false; }
  std::optional<EventCount> read(EventId id) override {
    if (event(id).state == EventState::kError && !knows_lost_counts) return std::nullopt;
    return EventCount{.value = event(id).count, .time_running_ns = event(id).time_running_ns};
  }
  void set_period(EventId id, std::uint64_t period) override {
    event(id).attr.period = period;
    ++event(id).period_changes;
  }
  [[nodiscard]] EventState state(EventId id) const override {
    return events.at(static_cast<std::size_t>(id)).state;
  }
  [[nodiscard]] HostCpu cpu(EventId) const override { return HostCpu{0}; }

  // ---- Last branch records ----------------------------------------------------------------------

  LbrHost* lbr() override { return model.exists() ? this : nullptr; }
  [[nodiscard]] const silicon::x86::LbrModel& lbr_model() const override { return model; }
  std::optional<Access> read_lbr(EventId id, MsrIndex msr) override {
    if (state(id) != EventState::kActive) return std::nullopt;
    const auto value = unit(id).read(msr);
    return value ? Access::done(*value) : Access::fault();
  }
  std::optional<Access> write_lbr(EventId id, MsrIndex msr, std::uint64_t value) override {
    if (state(id) != EventState::kActive) return std::nullopt;
    return unit(id).write(msr, value) ? Access::done() : Access::fault();
  }
  [[nodiscard]] silicon::x86::LbrState lbr_state(EventId id) const override {
    return events.at(static_cast<std::size_t>(id)).lbr.value().save();
  }
  bool set_lbr_state(EventId id, const silicon::x86::LbrState& state) override {
    return unit(id).restore(state).has_value();
  }
  /// The registers of a guest's LBR event.
  silicon::x86::LbrStack& unit(EventId id) { return event(id).lbr.value(); }
  /// A pinned event of the host takes the unit, or gives it back.
  void take_lbr() {
    lbr_taken = true;
    for (Event& each : events) {
      if (each.lbr && each.state == EventState::kActive) each.state = EventState::kError;
    }
  }
  void give_lbr() { lbr_taken = false; }

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
  silicon::x86::LbrModel model;         ///< set before anybody asks
  std::optional<OpenError> refuse_lbr;  ///< of guests' LBR events only
  bool lbr_taken = false;
  int lbr_opens = 0;  ///< tried
};

}  // namespace vpmu::hostperf
