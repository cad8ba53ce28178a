// SPDX-License-Identifier: MIT
//
// Virtual PMU: set-up and reset, entry into the guest, overflow and PMI.
#include "vpmu/virt/x86/pmu.hpp"

#include <utility>

#include "virt/x86/counter_sets.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/silicon/x86/amd_pmu_registers.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::AmdEventSelect;
using silicon::x86::DebugCtl;
using silicon::x86::EventSelect;
using silicon::x86::FixedControl;
using silicon::x86::GlobalStatus;
using silicon::x86::LbrFormat;
using silicon::x86::MiscEnable;
using silicon::x86::Vendor;

namespace {

std::uint64_t counters_of(const PmuConfig& config) {
  return low_bits(config.gp_counters) | low_bits(config.fixed_counters) << GlobalStatus::kFixed0;
}

std::uint64_t valid_status(const PmuConfig& config) {
  std::uint64_t valid = counters_of(config);
  if (config.vendor == Vendor::kAmd) return valid;
  valid |= mask_of(GlobalStatus::kOvfBuf, GlobalStatus::kCondChgd);
  if (config.version > 2) valid |= mask_of(GlobalStatus::kUncore);
  if (config.version > 3) {
    valid |= mask_of(GlobalStatus::kTopaPmi, GlobalStatus::kLbrFrz, GlobalStatus::kCtrFrz,
                     GlobalStatus::kAsci);
  }
  return valid;
}

/// Of every counter; what only some have is added when it is written.
std::uint64_t writable_event_select_of(const PmuConfig& config) {
  if (config.vendor == Vendor::kAmd) {
    return AmdEventSelect::kPlain |
           (config.host_guest_only ? mask_of(AmdEventSelect::kGuestOnly, AmdEventSelect::kHostOnly)
                                   : 0);
  }
  return EventSelect::kPlain | (has_any_thread(config) ? mask_of(EventSelect::kAnyThread) : 0) |
         (config.tsx ? mask_of(EventSelect::kInTx) : 0);
}

std::uint64_t writable_fixed_control(const PmuConfig& config) {
  std::uint64_t writable = 0;
  for (unsigned k = 0; k < config.fixed_counters; ++k) {
    const std::uint64_t bits =
        FixedControl::kPlain | (has_any_thread(config) ? mask_of(FixedControl::kAnyThread) : 0);
    writable |= bits << (FixedControl::kBits * k);
  }
  return writable;
}

std::uint64_t reset_misc_enable(const PmuConfig& config) {
  MiscEnable misc_enable;
  misc_enable.set(MiscEnable::kFastStrings, 1);
  misc_enable.set(MiscEnable::kPerformanceMonitoringAvailable, config.version > 0 ? 1 : 0);
  misc_enable.set(MiscEnable::kBtsUnavailable, 1);
  misc_enable.set(MiscEnable::kPebsUnavailable, 1);
  return misc_enable.raw;
}

/// Architectural LBRs are not switched there, but frozen.
std::uint64_t lbr_debug_control(std::uint64_t perf_capabilities) {
  switch (lbr_format(perf_capabilities)) {
    case LbrFormat::k32: return 0;
    case LbrFormat::kArchitectural: return mask_of(DebugCtl::kFreezeLbrsOnPmi);
    default: return mask_of(DebugCtl::kLbr, DebugCtl::kFreezeLbrsOnPmi);
  }
}

/// Clears a flag that others may set meanwhile. Cheap while it is not set.
bool take(std::atomic<bool>& flag) {
  return flag.load(std::memory_order_relaxed) && flag.exchange(false);
}

}  // namespace

Pmu::Pmu(const PmuConfig& config, hostperf::HostPerf& perf, hostperf::VcpuIndex vcpu, PmiSink& sink)
    : config_{config},
      perf_{perf},
      vcpu_{vcpu},
      sink_{sink},
      perf_capabilities_{config.perf_capabilities} {
  ensure(possible(config));
  ensure(config.gp_counters <= kMaxGp && config.fixed_counters <= kMaxFixed);
  if (config_.version > 0) {
    global_control_writable_ = counters_of(config_);
    global_status_valid_ = valid_status(config_);
    event_select_writable_ = writable_event_select_of(config_);
    fixed_control_writable_ = writable_fixed_control(config_);
  }
  if (config_.freeze_on_pmi) debug_control_writable_ |= mask_of(DebugCtl::kFreezePerfmonOnPmi);
  if (config_.tsx) debug_control_writable_ |= mask_of(DebugCtl::kRtm);
  if (is_intel() && config_.version > 3) freezing_status_ = mask_of(GlobalStatus::kCtrFrz);
  reset();
}

Pmu::~Pmu() {
  for_each(all_counters(), [this](CounterIndex index) { close_event(index); });
}

void Pmu::reset() {
  for_each(all_counters(), [this](CounterIndex index) {
    close_event(index);
    set_status(index, CounterStatus::kOff, counter(index).status_config);
  });
  gp_.fill({});
  fixed_.fill({});
  event_select_.fill(0);
  fixed_control_ = 0;
  global_control_ = config_.version > 1 ? low_bits(config_.gp_counters) : 0;
  global_status_ = 0;
  debug_control_ = 0;
  misc_enable_ = reset_misc_enable(config_);
  instruction_counters_ = 0;
  branch_counters_ = 0;
  credited_ = 0;
  reprogram_ = 0;
  reprogram_requested_ = false;
  gate_changed_ = false;
  pmi_pending_ = false;
  new_time_slice_ = false;
}

PmuStatistics Pmu::statistics() const {
  PmuStatistics statistics = statistics_;
  statistics.overflows = overflows_;
  return statistics;
}

// ---- What changes from outside ------------------------------------------------------------------

void Pmu::set_event_gate(const EventGate* gate) {
  gate_ = gate;
  gate_changed();
}

/// Not yet in `reprogram_`: until the vCPU comes by, its counters count by the answers before, and
/// what overflows is no less an overflow.
void Pmu::gate_changed() {
  if (all_counters() == 0) return;
  gate_changed_ = true;
  reprogram_requested_ = true;
  sink_.request_entry_work();
}

void Pmu::set_svm(bool svme, bool guest_mode) {
  if (svme == svme_ && guest_mode == guest_mode_) return;
  svme_ = svme;
  guest_mode_ = guest_mode;
  if (!config_.host_guest_only) return;
  constexpr std::uint64_t kModes = mask_of(AmdEventSelect::kGuestOnly, AmdEventSelect::kHostOnly);
  std::uint64_t counters = 0;
  for (unsigned i = 0; i < config_.gp_counters; ++i) {
    if ((event_select_[i] & kModes) != 0) counters |= bit(gp_counter(i));
  }
  if (counters == 0) return;
  request_reprogram(counters);
  sink_.request_entry_work();
}

void Pmu::scheduled_in() {
  ran_ = true;
  new_time_slice_ = true;
  look_for_lost_events();
  for_each(all_counters(), [this](CounterIndex index) {
    if (counter(index).event == hostperf::kNoEvent) return;
    // At most a time slice is lost with an event that host perf cannot read any more.
    fold(index);
    reprogram_requested_ = true;
  });
  // Counters that host perf had no room for get another chance.
  if (reprogram_ != 0) reprogram_requested_ = true;
}

// ---- Entry, overflow, PMI -----------------------------------------------------------------------

void Pmu::before_entry() {
  if (take(reprogram_requested_)) follow_registers();
  if (take(pmi_pending_)) deliver_pmi();
  // The PMI froze counters, or one overflowed while it was programmed.
  if (take(reprogram_requested_)) follow_registers();
}

void Pmu::follow_registers() {
  const auto follow = [this](CounterIndex index) {
    if (!reprogram(index)) reprogram_ |= bit(index);
  };
  if (take(gate_changed_)) reprogram_ |= all_counters();
  // Only the bits taken here are cleared: an overflow may set others meanwhile.
  const std::uint64_t snapshot = reprogram_.exchange(0);
  // What runs comes first: it gives counters back, or has a claim to the one it had.
  const std::uint64_t running = snapshot & counting_;
  for_each(running, follow);
  for_each(snapshot & ~running, follow);
  for_each(credited_ & ~snapshot, [this](CounterIndex index) {
    if (counter(index).event == hostperf::kNoEvent) return;
    perf_.set_period(counter(index).event, period(index));
  });
  credited_ = 0;
  // A counter for one event may have been another's.
  if (std::exchange(host_schedule_changed_, false)) look_for_lost_events();
  if (new_time_slice_) {
    new_time_slice_ = false;
    close_unused_events();
  }
}

void Pmu::on_overflow(hostperf::EventId, std::uint64_t cookie) {
  const auto index = static_cast<CounterIndex>(cookie);
  // A counter that waits to be reprogrammed is what the guest no longer wants.
  if ((reprogram_ & bit(index)) != 0) return;
  overflowed(index);
  request_reprogram(bit(index));  // for the period of a whole turn
  sink_.request_entry_work();
}

/// Called in signal context too.
void Pmu::overflowed(CounterIndex index) {
  ++overflows_;
  if (config_.version > 1) global_status_ |= bit(index);
  if (interrupts(index)) pmi_pending_ = true;
}

void Pmu::deliver_pmi() {
  freeze_lbrs();
  freeze_counters();
  ++statistics_.pmis_raised;
  switch (sink_.raise_pmi(is_intel() ? LvtpcAfterPmi::kMask : LvtpcAfterPmi::kKeep)) {
    case PmiOutcome::kDelivered: ++statistics_.pmis_delivered; break;
    case PmiOutcome::kMasked: ++statistics_.pmis_masked; break;
    case PmiOutcome::kRejected: ++statistics_.pmis_rejected; break;
  }
}

/// FREEZE_PERFMON_ON_PMI, SDM vol. 3B 18.4.7: whatever LVTPC makes of the request. Up to version 3
/// the enables are cleared, from 4 on a status bit stops everything.
void Pmu::freeze_counters() {
  if ((debug_control_ & mask_of(DebugCtl::kFreezePerfmonOnPmi)) == 0) return;
  if (freezing_status_ != 0) {
    change_global_status(0, freezing_status_);
  } else {
    set_global_control(0);
  }
}

/// FREEZE_LBRS_ON_PMI, in the same two ways; version 1 does not freeze.
void Pmu::freeze_lbrs() {
  if ((debug_control_ & mask_of(DebugCtl::kFreezeLbrsOnPmi)) == 0) return;
  if (config_.version > 3) {
    change_global_status(0, mask_of(GlobalStatus::kLbrFrz));
  } else if (config_.version > 1) {
    debug_control_ &= ~mask_of(DebugCtl::kLbr);
  }
}

std::uint64_t Pmu::writable_debug_control(std::uint64_t perf_capabilities) const {
  return debug_control_writable_ | lbr_debug_control(perf_capabilities);
}

}  // namespace vpmu::virt::x86
