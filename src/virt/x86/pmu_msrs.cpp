// SPDX-License-Identifier: MIT
//
// Virtual PMU: reading and writing registers, as far as both vendors do it alike.
#include "virt/x86/counter_sets.hpp"
#include "virt/x86/pmu_target.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::DebugCtl;
using silicon::x86::EventSelect;
using silicon::x86::FixedControl;
using silicon::x86::GlobalInuse;
using silicon::x86::LbrFormat;
using silicon::x86::MiscEnable;
namespace msr = silicon::x86::msr;

namespace {

/// Old guests probe these without asking CPUID.
constexpr bool is_legacy(MsrIndex msr) {
  return offset(msr, msr::IA32_PMC0) < 2 || offset(msr, msr::IA32_PERFEVTSEL0) < 2 ||
         offset(msr, msr::K7_EVNTSEL0) < 8;
}

constexpr bool is_performance_monitoring(MsrIndex msr) {
  return offset(msr, msr::IA32_PMC0) < Pmu::kMaxGp ||
         offset(msr, msr::IA32_PERFEVTSEL0) < Pmu::kMaxGp ||
         offset(msr, msr::IA32_A_PMC0) < Pmu::kMaxGp ||
         offset(msr, msr::IA32_FIXED_CTR0) < Pmu::kMaxFixed || msr == msr::MSR_PERF_METRICS ||
         (msr >= msr::IA32_FIXED_CTR_CTRL && msr <= msr::IA32_PERF_GLOBAL_INUSE) ||
         msr == msr::IA32_PEBS_ENABLE || msr == msr::MSR_PEBS_DATA_CFG ||
         msr == msr::IA32_DS_AREA || offset(msr, msr::PerfCntrGlobalStatus) < 4 ||
         offset(msr, msr::PERF_CTL0) < 12;
}

}  // namespace

Pmu::Target Pmu::decode(MsrIndex msr) const {
  using Kind = Target::Kind;
  const Target target = is_intel() ? decode_intel(msr) : decode_amd(msr);
  if (target.kind != Kind::kNotMine) return target;
  if (msr == msr::IA32_PERF_CAPABILITIES) return {Kind::kPerfCapabilities};
  if (msr == msr::IA32_MISC_ENABLE) return {Kind::kMiscEnable};
  if (msr == msr::IA32_DEBUGCTL) return {Kind::kDebugControl};
  if (is_legacy(msr)) return {Kind::kLegacyIgnored};
  return {is_performance_monitoring(msr) ? Kind::kAbsent : Kind::kNotMine};
}

Access Pmu::read_msr(MsrIndex msr, Initiator initiator) {
  using Kind = Target::Kind;
  const Target target = decode(msr);
  if (initiator == Initiator::kGuest) ran_ = true;
  switch (target.kind) {
    case Kind::kNotMine: return Access::not_mine();
    case Kind::kAbsent: return Access::fault();
    case Kind::kLegacyIgnored: return Access::done(0);
    case Kind::kCounter:
    case Kind::kFullCounter:
      gp_[target.index].touched = true;
      return Access::done(read_counter(gp_counter(target.index)));
    case Kind::kFixedCounter:
      fixed_[target.index].touched = true;
      return Access::done(read_counter(fixed_counter(target.index)));
    case Kind::kEventSelect:
      gp_[target.index].touched = true;
      return Access::done(event_select_[target.index]);
    case Kind::kFixedControl:
      for (Counter& counter : fixed_) counter.touched = true;
      return Access::done(fixed_control_);
    case Kind::kGlobalStatus: return Access::done(global_status_);
    case Kind::kGlobalControl: return Access::done(global_control_);
    case Kind::kGlobalStatusReset:
    case Kind::kGlobalStatusSet: return Access::done(0);
    case Kind::kGlobalInuse: return Access::done(inuse());
    case Kind::kPerfCapabilities:
      if (!config_.has_perf_capabilities && initiator == Initiator::kGuest) return Access::fault();
      return Access::done(perf_capabilities_);
    case Kind::kMiscEnable: return Access::done(misc_enable_);
    case Kind::kDebugControl: return Access::done(debug_control_);
  }
  return Access::not_mine();
}

Access Pmu::write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator) {
  using Kind = Target::Kind;
  const Target target = decode(msr);
  if (initiator == Initiator::kGuest) ran_ = true;
  switch (target.kind) {
    case Kind::kNotMine: return Access::not_mine();
    case Kind::kAbsent: return Access::fault();
    case Kind::kLegacyIgnored: return Access::done();
    case Kind::kPerfCapabilities: return write_perf_capabilities(value, initiator);
    case Kind::kMiscEnable: return write_misc_enable(value, initiator);
    case Kind::kDebugControl: return write_debug_control(value);
    default: break;
  }
  return is_intel() ? write_intel(target, value, initiator) : write_amd(target, value, initiator);
}

std::uint64_t Pmu::inuse() const {
  std::uint64_t used = 0;
  for (unsigned i = 0; i < config_.gp_counters; ++i) {
    const EventSelect select{{event_select_[i]}};
    if (select.get(EventSelect::kEvent) != 0) used |= bit(gp_counter(i));
    if (select.get(EventSelect::kInt) != 0) used |= mask_of(GlobalInuse::kPmi);
  }
  for (unsigned k = 0; k < config_.fixed_counters; ++k) {
    const FixedControl control = control_of(fixed_control_, k);
    if ((control.raw & FixedControl::kEnable) != 0) used |= bit(fixed_counter(k));
    if (control.get(FixedControl::kPmi) != 0) used |= mask_of(GlobalInuse::kPmi);
  }
  return used;
}

// ---- Registers that are no counter's ------------------------------------------------------------

/// What is offered or less: a format of LBRs is there or not, never another.
bool Pmu::can_be_perf_capabilities(std::uint64_t value) const {
  const bool right_format = lbr_format(value) == LbrFormat::k32 ||
                            lbr_format(value) == lbr_format(config_.perf_capabilities);
  return right_format && (value & ~config_.perf_capabilities) == 0;
}

/// Read-only to guests. The host may take away what is offered, and give it back, until the guest
/// may have seen it; a value is accepted as it is, or refused.
Access Pmu::write_perf_capabilities(std::uint64_t value, Initiator initiator) {
  if (initiator == Initiator::kGuest) return Access::fault();
  if (value == perf_capabilities_) return Access::done();
  if (ran_ || !can_be_perf_capabilities(value)) return Access::fault();
  set_perf_capabilities(value);
  return Access::done();
}

void Pmu::set_perf_capabilities(std::uint64_t value) {
  perf_capabilities_ = value;
  debug_control_ &= writable_debug_control(value);
}

/// Bit 7 tells whether there is a PMU and keeps its value; bits 11 and 12 tell what there is not.
/// The other bits switch things that make no difference here, and are kept.
Access Pmu::write_misc_enable(std::uint64_t value, Initiator initiator) {
  constexpr std::uint64_t kUnavailable =
      mask_of(MiscEnable::kBtsUnavailable, MiscEnable::kPebsUnavailable);
  constexpr std::uint64_t kReadOnly = mask_of(MiscEnable::kPerformanceMonitoringAvailable);
  const std::uint64_t changed = value ^ misc_enable_;
  if (initiator == Initiator::kGuest && (changed & kUnavailable) != 0) return Access::fault();
  const std::uint64_t kept = kReadOnly | kUnavailable;
  misc_enable_ = (value & ~kept) | (misc_enable_ & kept);
  return Access::done();
}

/// LBR, where there is nothing that it could switch, and BTF are dropped; what else is not offered
/// is reserved.
Access Pmu::write_debug_control(std::uint64_t value) {
  constexpr std::uint64_t kDropped = mask_of(DebugCtl::kLbr, DebugCtl::kBtf);
  const std::uint64_t writable = writable_debug_control(perf_capabilities_);
  if ((value & ~kDropped & ~writable) != 0) return Access::fault();
  debug_control_ = value & writable;
  return Access::done();
}

// ---- Registers of counters: checked before, by vendor -------------------------------------------

void Pmu::set_counter(CounterIndex index, std::uint64_t value) {
  Counter& written = counter(index);
  written.touched = true;
  fold(index);
  written.value = value & mask(index);
  if (written.event != hostperf::kNoEvent) perf_.set_period(written.event, period(index));
}

void Pmu::set_event_select(unsigned i, std::uint64_t value) {
  gp_[i].touched = true;
  if (event_select_[i] == value) return;
  event_select_[i] = value;
  note_creditable(gp_counter(i));
  request_reprogram(bit(gp_counter(i)));
}

void Pmu::set_fixed_control(std::uint64_t value) {
  const std::uint64_t changed = value ^ fixed_control_;
  fixed_control_ = value;
  std::uint64_t counters = 0;
  for (unsigned k = 0; k < config_.fixed_counters; ++k) {
    fixed_[k].touched = true;
    if (control_of(changed, k).raw == 0) continue;
    note_creditable(fixed_counter(k));
    counters |= bit(fixed_counter(k));
  }
  if (counters != 0) request_reprogram(counters);
}

void Pmu::set_global_control(std::uint64_t value) {
  const std::uint64_t changed = value ^ global_control_;
  global_control_ = value;
  if (changed != 0) request_reprogram(changed);
}

void Pmu::change_global_status(std::uint64_t clear, std::uint64_t set) {
  const std::uint64_t before = global_status_.fetch_and(~clear);
  global_status_ |= set;
  if (((before ^ ((before & ~clear) | set)) & freezing_status_) != 0) {
    request_reprogram(all_counters());
  }
}

}  // namespace vpmu::virt::x86
