// SPDX-License-Identifier: MIT
//
// Virtual PMUv3: set-up and reset, entry into the guest, overflow and its interrupt.
#include "vpmu/virt/arm64/pmu.hpp"

#include <utility>

#include "virt/counter_sets.hpp"
#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::Pmcr;

namespace {

std::uint64_t writable_control_of(const PmuConfig& config) {
  if (config.version == 0) return 0;
  std::uint64_t writable = mask_of(Pmcr::kE, Pmcr::kDp);
  if (config.aarch32) writable |= mask_of(Pmcr::kLc, Pmcr::kD);
  if (has_long_counters(config)) writable |= mask_of(Pmcr::kLp);
  return writable;
}

std::uint64_t counters_of(const PmuConfig& config) {
  return config.version == 0 ? 0 : low_bits(config.event_counters) | bit(kCycleCounter);
}

}  // namespace

Pmu::Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu,
         OverflowSink& sink)
    : config_{config},
      perf_{perf},
      vcpu_{vcpu},
      sink_{sink},
      all_counters_{counters_of(config)},
      control_writable_{writable_control_of(config)} {
  ensure(possible(config));
}

Pmu::~Pmu() {
  for_each(all_counters_, [this](CounterIndex index) { counter(index).host.close(perf_); });
}

void Pmu::reset() {
  for_each(all_counters_, [this](CounterIndex index) {
    counter(index).host.close(perf_);
    set_status(index, CounterStatus::kOff, counter(index).status_event);
  });
  counters_.fill({});
  control_ = 0;
  enabled_ = 0;
  overflowed_ = 0;
  interrupting_ = 0;
  selected_ = 0;
  user_enable_ = 0;
  undivided_ = 0;
  unsettled_ = 0;
  reprogram_ = 0;
  gate_changed_ = false;
  entry_work_ = false;
  new_time_slice_ = false;
  update_line();
}

// ---- What changes from outside ------------------------------------------------------------------

void Pmu::set_event_gate(const EventGate* gate) {
  gate_ = gate;
  gate_changed();
}

/// Not yet in `reprogram_`: until the vCPU comes by, its counters count by the answers before, and
/// what overflows is no less an overflow.
void Pmu::gate_changed() {
  if (all_counters_ == 0) return;
  gate_changed_ = true;
  entry_work_ = true;
  sink_.request_entry_work();
}

void Pmu::scheduled_in() {
  new_time_slice_ = true;
  look_for_lost_events();
  for_each(all_counters_, [this](CounterIndex index) {
    if (!counter(index).host.is_open()) return;
    // At most a time slice is lost with an event that host perf cannot read any more.
    fold(index);
  });
  // Also, counters that host perf had no room for get another chance. There is always an entry, so
  // that a restored PMU, whose counters are all programmed anew, has no more of them.
  entry_work_ = true;
}

// ---- Entry, overflow, interrupt -----------------------------------------------------------------

void Pmu::before_entry() {
  // A counter can overflow while it is programmed: once more, then.
  while (entry_work_.exchange(false)) {
    settle_overflows();
    follow_registers();
  }
  update_line();
}

void Pmu::follow_registers() {
  const auto follow = [this](CounterIndex index) {
    if (!reprogram(index)) reprogram_ |= bit(index);
  };
  if (gate_changed_.exchange(false)) reprogram_ |= all_counters_;
  // Only the bits taken here are cleared: an overflow may set others meanwhile.
  const std::uint64_t snapshot = reprogram_.exchange(0);
  // What runs comes first: it gives counters back, or has a claim to the one it had.
  const std::uint64_t running = snapshot & counting_;
  for_each(running, follow);
  for_each(snapshot & ~running, follow);
  // A counter for one event may have been another's.
  if (std::exchange(host_schedule_changed_, false)) look_for_lost_events();
  if (std::exchange(new_time_slice_, false)) close_unused_events();
}

/// In signal context too: the registers learn of it at the next instruction boundary.
void Pmu::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  const auto index = static_cast<CounterIndex>(cookie);
  // A counter that waits to be reprogrammed is what the guest no longer wants.
  if ((reprogram_ & bit(index)) != 0) return;
  unsettled_ |= bit(index);
  request_reprogram(bit(index));  // for the period of a whole turn
  sink_.request_entry_work();
}

void Pmu::settle_overflows() {
  if (unsettled_.load(std::memory_order_relaxed) == 0) return;
  for_each(unsettled_.exchange(0), [this](CounterIndex index) { overflowed(index); });
}

/// Arm ARM D13.4: a level, of what has overflowed and may interrupt, while PMCR_EL0.E is set.
void Pmu::update_line() {
  const bool on = (control_ & mask_of(Pmcr::kE)) != 0 && (overflowed_ & interrupting_) != 0;
  if (on == asserted_) return;
  asserted_ = on;
  if (on) ++statistics_.interrupts;
  sink_.set_overflow_line(on);
}

}  // namespace vpmu::virt::arm64
