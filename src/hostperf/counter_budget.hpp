// SPDX-License-Identifier: MIT
//
// Whether a set of events fits on a PMU. An event names the counters that can count it: all
// general-purpose ones, some of them, a fixed one, or several of these. A set fits if every event
// can have a counter of its own; which one does not matter to anybody, so events change counters as
// others come. The last branch records are one more thing that an event may want, with the counter
// or not at all.
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
/// What a guest's LBR event takes: no counter at all, but of this there is only one.
inline constexpr CounterSet kGuestLbrCounter = 1u << 15;

/// What an event wants of the last branch records.
struct LbrUse {
  enum class Kind : std::uint8_t {
    kNone,
    kHost,   ///< shared with others that want the same filter
    kGuest,  ///< shared with nobody
    kTrace,  ///< no event's: something else uses them
  };
  Kind kind = Kind::kNone;
  bool call_stack = false;   ///< kHost
  std::uint64_t filter = 0;  ///< kHost: LBR_SELECT or IA32_LBR_CTL

  [[nodiscard]] constexpr bool any() const { return kind != Kind::kNone; }
};

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
  /// The same for one that may want last branch records.
  bool add(CounterSet counters, bool alone, const LbrUse& lbr) {
    if (!lbr.any()) return add(counters, alone);
    if (!can_use(lbr) || !add(counters, alone)) return false;
    take(lbr);
    return true;
  }

  /// By events, or by something else.
  [[nodiscard]] bool lbr_used() const { return lbr_users_ != 0; }
  /// Of an empty one: no event can have the last branch records.
  void without_lbr() { take({.kind = LbrUse::Kind::kTrace}); }

  /// Gives back the counter, or the last branch records, that add() took for such an event.
  void remove_lbr() { --lbr_users_; }
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

  [[nodiscard]] bool can_use(const LbrUse& lbr) const {
    if (lbr_users_ == 0) return true;
    return lbr.kind == LbrUse::Kind::kHost && lbr_.kind == lbr.kind && lbr_.filter == lbr.filter;
  }
  void take(const LbrUse& lbr) {
    lbr_ = lbr;
    ++lbr_users_;
  }

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
  std::uint8_t lbr_users_ = 0;
  LbrUse lbr_{};  ///< of the users, if there are any
  /// What the event on each used counter asked for. Events that ask for the same are
  /// interchangeable.
  std::array<CounterSet, kCounters> events_{};
};

}  // namespace vpmu::hostperf
