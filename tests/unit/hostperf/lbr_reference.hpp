// SPDX-License-Identifier: MIT
//
// Who has what on the host CPUs, worked out from nothing each time: all enabled events are taken in
// the order of host_perf.hpp, and every assignment of counters is tried. For tests of events that
// compete for counters and for last branch records.
#pragma once

#include <list>
#include <map>
#include <set>

#include "unit/hostperf/small_lbr.hpp"

namespace vpmu::hostperf {

/// An event as its opener knows it.
struct KnownEvent {
  EventAttr attr;
  Target target;
  std::vector<int> counters;  ///< any of these; none: a guest's LBR event
  EventState state = EventState::kOff;

  [[nodiscard]] bool guests_lbr() const { return attr.config == kGuestLbrEvent; }
  [[nodiscard]] bool hosts_lbr() const { return attr.branch_type != 0 && !guests_lbr(); }
  [[nodiscard]] bool call_stack() const { return (attr.branch_type & kBranchCallStack) != 0; }
};

class LbrReference {
 public:
  static constexpr unsigned kCpus = 2;
  using Events = std::map<EventId, KnownEvent>;

  explicit LbrReference(std::uint64_t rotation_ns) : rotation_ns_{rotation_ns} {
    for (unsigned n = 0; n < kCpus; ++n) on_[n] = n;
  }

  Events events;
  std::array<bool, kCpus> traced{};

  [[nodiscard]] std::optional<unsigned> on(unsigned cpu) const { return on_[cpu]; }
  /// The CPU for which an event competes.
  [[nodiscard]] std::optional<unsigned> cpu_of(const KnownEvent& event) const {
    if (event.target.kind == Target::Kind::kHostCpu) return event.target.index;
    for (unsigned n = 0; n < kCpus; ++n) {
      if (on_[n] == event.target.index) return n;
    }
    return std::nullopt;
  }

  void enable(EventId event) {
    EventState& state = events.at(event).state;
    if (state != EventState::kOff && state != EventState::kError) return;
    state = EventState::kInactive;
    order_.push_back(event);
    schedule();
  }
  void disable(EventId event) {
    events.at(event).state = EventState::kOff;
    order_.remove(event);
    schedule();
  }
  void close(EventId event) {
    disable(event);
    events.erase(event);
  }
  void switch_out(unsigned vcpu) {
    for (auto& on : on_) {
      if (on == vcpu) on.reset();
    }
    schedule();
  }
  void switch_in(unsigned vcpu, unsigned cpu) {
    if (on_[cpu] == vcpu) return;
    for (auto& on : on_) {
      if (on == vcpu) on.reset();
    }
    on_[cpu] = vcpu;
    schedule();
  }
  void trace(unsigned cpu, bool used) {
    traced[cpu] = used;
    schedule();
  }
  void tick(unsigned cpu, std::uint64_t now_ns) {
    std::vector<Target> targets{hostperf::cpu(cpu)};
    if (on_[cpu]) targets.push_back(task(*on_[cpu]));
    if (std::ranges::none_of(targets, [this](Target target) { return waits(target); })) return;
    for (const Target target : targets) {
      std::uint64_t& rotated = rotated_[{target.kind, target.index}];
      if (std::exchange(rotated, now_ns / rotation_ns_) == now_ns / rotation_ns_) continue;
      if (!waits(target)) continue;
      const auto first = std::ranges::find_if(order_, [&](EventId event) {
        return is_of(event, target) && !events.at(event).attr.pinned;
      });
      if (first != order_.end()) order_.splice(order_.end(), order_, first);
    }
    schedule();
  }

 private:
  [[nodiscard]] bool is_of(EventId event, Target target) const {
    const Target& of = events.at(event).target;
    return of.kind == target.kind && of.index == target.index;
  }
  [[nodiscard]] bool waits(Target target) const {
    return std::ranges::any_of(order_, [&](EventId event) {
      return is_of(event, target) && events.at(event).state == EventState::kInactive;
    });
  }

  /// Decides all CPUs anew.
  void schedule() {
    for (auto& [id, event] : events) {
      if (event.state == EventState::kActive) event.state = EventState::kInactive;
    }
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) schedule(cpu);
  }

  void schedule(unsigned cpu) {
    std::vector<const KnownEvent*> chosen;
    for (const bool pinned : {true, false}) {
      for (const Target::Kind kind : {Target::Kind::kHostCpu, Target::Kind::kVcpu}) {
        const std::list<EventId> order = order_;
        for (const EventId id : order) {
          KnownEvent& event = events.at(id);
          if (event.attr.pinned != pinned || event.target.kind != kind || cpu_of(event) != cpu) {
            continue;
          }
          if (fits(chosen, event, cpu)) {
            chosen.push_back(&event);
            event.state = EventState::kActive;
          } else if (pinned) {
            event.state = EventState::kError;
            order_.remove(id);
          }
        }
      }
    }
  }

  [[nodiscard]] bool fits(const std::vector<const KnownEvent*>& chosen, const KnownEvent& event,
                          unsigned cpu) const {
    if (event.attr.exclusive && !chosen.empty()) return false;
    for (const KnownEvent* other : chosen) {
      if (other->attr.exclusive) return false;
      if (event.attr.branch_type == 0 || other->attr.branch_type == 0) continue;
      const bool shared = event.hosts_lbr() && other->hosts_lbr() &&
                          event.attr.branch_type == other->attr.branch_type;
      if (!shared) return false;
    }
    if (event.attr.branch_type != 0 && traced[cpu]) return false;
    std::vector<const KnownEvent*> all = chosen;
    all.push_back(&event);
    return can_be_assigned(all, 0, {});
  }

  static bool can_be_assigned(const std::vector<const KnownEvent*>& all, std::size_t first,
                              const std::set<int>& used) {
    if (first == all.size()) return true;
    if (all[first]->guests_lbr()) return can_be_assigned(all, first + 1, used);
    return std::ranges::any_of(all[first]->counters, [&](int counter) {
      std::set<int> with = used;
      return with.insert(counter).second && can_be_assigned(all, first + 1, with);
    });
  }

  std::uint64_t rotation_ns_;
  std::array<std::optional<unsigned>, kCpus> on_;
  std::list<EventId> order_;  ///< the enabled events; of each kind in their order
  std::map<std::pair<Target::Kind, std::uint32_t>, std::uint64_t> rotated_;
};

}  // namespace vpmu::hostperf
