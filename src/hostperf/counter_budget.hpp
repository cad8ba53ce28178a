// SPDX-License-Identifier: MIT
//
// Whether a set of events fits on a PMU. Events differ in where they may be counted: on any
// general-purpose counter, there or on one fixed counter, or on one fixed counter only. Which event
// sits on which counter does not matter to anybody, so only the numbers are kept: a set fits if
// some assignment of counters to it exists.
#pragma once

#include <array>
#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::hostperf {

class CounterBudget {
 public:
  explicit CounterBudget(const silicon::x86::PmuModel& pmu)
      : gp_counters_{pmu.gp_counters}, fixed_counters_{pmu.fixed_counters} {}

  /// Takes a counter for an event, rearranging the others as needed; false, and nothing has
  /// changed, if the event does not fit.
  bool add(const silicon::x86::EventRow& row) {
    change(row, 1);
    if (fits()) return true;
    change(row, -1);
    return false;
  }
  /// Gives back what add() took.
  void remove(const silicon::x86::EventRow& row) { change(row, -1); }

 private:
  static constexpr std::size_t kMaxFixed = 8;

  void change(const silicon::x86::EventRow& row, int by) {
    if (row.fixed == silicon::x86::kNoFixedCounter) {
      gp_only_ += by;
      return;
    }
    const std::size_t fixed = static_cast<std::uint8_t>(row.fixed);
    if (row.counted_on == silicon::x86::CountedOn::kFixedCounter) {
      fixed_only_[fixed] += by;
    } else {
      either_[fixed] += by;
    }
  }

  [[nodiscard]] bool fits() const {
    int general = gp_only_;
    for (std::size_t k = 0; k < kMaxFixed; ++k) {
      const int available = k < fixed_counters_ ? 1 : 0;
      if (fixed_only_[k] > available) return false;
      const int free = available - fixed_only_[k];
      if (either_[k] > free) general += either_[k] - free;
    }
    return general <= gp_counters_;
  }

  int gp_counters_;
  std::size_t fixed_counters_;
  int gp_only_ = 0;
  std::array<int, kMaxFixed> fixed_only_{};
  std::array<int, kMaxFixed> either_{};
};

}  // namespace vpmu::hostperf
