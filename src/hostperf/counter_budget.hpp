// SPDX-License-Identifier: MIT
//
// Whether a set of events fits on a PMU. An event names the counters that can count it: all
// general-purpose ones, some of them, a fixed one, or several of these. A set fits if every event
// can have a counter of its own; which one does not matter to anybody, so events change counters as
// others come.
//
// Exact: an event is refused only if no assignment of counters exists (bipartite matching by
// augmenting paths). Usually some counter that can count the event is free, and nothing is
// searched.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::hostperf {

/// Counters of one PMU: general-purpose counter i is bit i, fixed counter k is bit 8 + k.
using CounterSet = std::uint16_t;
inline constexpr unsigned kFirstFixed = 8;

/// The counters of a PMU that can count an event. Fixed counters have neither conditions on cycles
/// nor transactions: `general_only`.
constexpr CounterSet counters_for(const silicon::x86::EventRow& row,
                                  const silicon::x86::PmuModel& pmu, bool general_only = false) {
  using silicon::x86::CountedOn;
  unsigned counters = 0;
  if (row.counted_on != CountedOn::kFixedCounter) {
    counters |= row.counters & ((1u << pmu.gp_counters) - 1);
  }
  if (!general_only && row.fixed >= 0 && row.fixed < pmu.fixed_counters) {
    counters |= 1u << (kFirstFixed + static_cast<unsigned>(row.fixed));
  }
  return static_cast<CounterSet>(counters);
}

class CounterBudget {
 public:
  /// Takes one of `counters` for an event, moving others as needed; false, and nothing has changed,
  /// if the event does not fit. `alone`: it must be the only one.
  bool add(CounterSet counters, bool alone) {
    if (alone_ || (alone && used_ != 0)) return false;
    const unsigned free = counters & ~unsigned{used_};
    if (free != 0) {
      // Fixed counters first: fewer events can use them.
      take(std::bit_width(free) - 1u, counters);
    } else if (!make_room(counters)) {
      return false;
    }
    alone_ = alone;
    return true;
  }

  /// Gives back what add() took for an event of these counters.
  void remove(CounterSet counters) {
    for (unsigned left = used_ & counters; left != 0; left &= left - 1) {
      const auto counter = static_cast<unsigned>(std::countr_zero(left));
      if (events_[counter] != counters) continue;
      used_ = static_cast<CounterSet>(used_ & ~(1u << counter));
      alone_ = false;
      return;
    }
  }

 private:
  static constexpr unsigned kCounters = 16;
  static constexpr std::uint8_t kNewEvent = 0xff;

  void take(unsigned counter, CounterSet counters) {
    events_[counter] = counters;
    used_ = static_cast<CounterSet>(used_ | 1u << counter);
  }

  /// Looks for a chain of events that each move on to another counter they can use, the last one to
  /// a free counter, breadth first.
  bool make_room(CounterSet counters) {
    std::array<std::uint8_t, kCounters> wanted_by;  // the counter whose event wants to move here
    std::array<std::uint8_t, kCounters> queue;
    unsigned seen = 0, first = 0, last = 0;
    const auto reach = [&](unsigned reachable, std::uint8_t from) {
      for (unsigned left = reachable & ~seen; left != 0; left &= left - 1) {
        const auto counter = static_cast<std::uint8_t>(std::countr_zero(left));
        wanted_by[counter] = from;
        queue[last++] = counter;
      }
      seen |= reachable;
    };
    reach(counters, kNewEvent);
    for (; first < last; ++first) {
      const std::uint8_t counter = queue[first];
      if ((used_ >> counter & 1) == 0) {
        move_along(wanted_by, counter, counters);
        return true;
      }
      reach(events_[counter], counter);
    }
    return false;
  }

  void move_along(const std::array<std::uint8_t, kCounters>& wanted_by, std::uint8_t free,
                  CounterSet counters) {
    std::uint8_t to = free;
    for (; wanted_by[to] != kNewEvent; to = wanted_by[to]) take(to, events_[wanted_by[to]]);
    take(to, counters);
  }

  CounterSet used_ = 0;
  bool alone_ = false;
  /// What the event on each used counter asked for. Events that ask for the same are
  /// interchangeable.
  std::array<CounterSet, kCounters> events_{};
};

}  // namespace vpmu::hostperf
