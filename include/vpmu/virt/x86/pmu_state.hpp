// SPDX-License-Identifier: MIT
//
// All of a virtual PMU that moves with its guest: Pmu::save() and Pmu::restore(). Counter values
// are up to date; which host events stand behind them is the business of the host that it arrives
// on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vpmu/virt/x86/counter_status.hpp"
#include "vpmu/virt/x86/pmu_config.hpp"

namespace vpmu::virt::x86 {

struct PmuStatistics {
  std::uint64_t overflows = 0;    ///< of all counters, whether or not they ask for an interrupt
  std::uint64_t pmis_raised = 0;  ///< sent to LVTPC: one for all overflows between two entries
  std::uint64_t pmis_delivered = 0;
  std::uint64_t pmis_masked = 0;
  std::uint64_t pmis_rejected = 0;

  friend bool operator==(const PmuStatistics&, const PmuStatistics&) = default;
};

struct PmuState {
  static constexpr std::size_t kMaxGp = 8;
  static constexpr std::size_t kMaxFixed = 4;

  struct Counter {
    std::uint64_t value = 0;
    CounterStatus status = CounterStatus::kOff;
    std::uint64_t config = 0;  ///< what `status` was said of
    bool touched = false;      ///< accessed through an MSR in this time slice

    friend bool operator==(const Counter&, const Counter&) = default;
  };

  PmuConfig config;  ///< of the PMU that was saved

  std::array<std::uint64_t, kMaxGp> event_select{};
  std::array<Counter, kMaxGp> gp{};
  std::array<Counter, kMaxFixed> fixed{};
  std::uint64_t fixed_control = 0;
  std::uint64_t global_control = 0;
  std::uint64_t global_status = 0;
  std::uint64_t misc_enable = 0;
  std::uint64_t debug_control = 0;
  std::uint64_t perf_capabilities = 0;

  bool ran = false;  ///< IA32_PERF_CAPABILITIES does not change any more
  bool svme = false;
  bool guest_mode = false;
  bool pmi_pending = false;
  bool new_time_slice = false;
  PmuStatistics statistics;

  friend bool operator==(const PmuState&, const PmuState&) = default;
};

}  // namespace vpmu::virt::x86
