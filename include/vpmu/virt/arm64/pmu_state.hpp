// SPDX-License-Identifier: MIT
//
// All of a virtual PMU that moves with its guest: Pmu::save() and Pmu::restore(). Counter values
// are up to date; which host events stand behind them is the business of the host that it arrives
// on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/virt/arm64/pmu_config.hpp"
#include "vpmu/virt/counter_status.hpp"

namespace vpmu::virt::arm64 {

struct PmuStatistics {
  std::uint64_t overflows = 0;   ///< of all counters, whether or not they ask for an interrupt
  std::uint64_t interrupts = 0;  ///< how often the line was asserted

  friend bool operator==(const PmuStatistics&, const PmuStatistics&) = default;
};

struct PmuState {
  /// By CounterIndex: 31 event counters and the cycle counter.
  static constexpr std::size_t kCounters = 32;

  struct Counter {
    std::uint64_t value = 0;
    std::uint64_t type = 0;  ///< PMEVTYPER<n>_EL0, or PMCCFILTR_EL0
    CounterStatus status = CounterStatus::kOff;
    std::uint16_t event = 0;  ///< what `status` was said of
    bool touched = false;     ///< accessed in this time slice

    friend bool operator==(const Counter&, const Counter&) = default;
  };

  PmuConfig config;  ///< of the PMU that was saved

  std::array<Counter, kCounters> counters{};
  std::uint64_t control = 0;       ///< PMCR_EL0
  std::uint64_t enabled = 0;       ///< PMCNTENSET_EL0
  std::uint64_t overflowed = 0;    ///< PMOVSSET_EL0
  std::uint64_t interrupting = 0;  ///< PMINTENSET_EL1
  std::uint64_t selected = 0;      ///< PMSELR_EL0
  std::uint64_t user_enable = 0;   ///< PMUSERENR_EL0
  std::uint8_t undivided = 0;      ///< PMCR_EL0.D: cycles that are not yet 64
  bool asserted = false;           ///< the overflow interrupt
  bool new_time_slice = false;
  PmuStatistics statistics;

  friend bool operator==(const PmuState&, const PmuState&) = default;
};

}  // namespace vpmu::virt::arm64
