// SPDX-License-Identifier: MIT
//
// Virtual PMU: the MSRs of Intel's architectural performance monitoring, versions 1 to 5, SDM
// vol. 3B 20.2. Reserved bits and read-only registers fault.
#include "virt/x86/counter_sets.hpp"
#include "virt/x86/pmu_target.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::EventSelect;
using silicon::x86::GlobalStatus;
using silicon::x86::PerfCapabilities;
namespace msr = silicon::x86::msr;

namespace {

constexpr std::uint64_t sign_extend_32(std::uint64_t value) {
  return static_cast<std::uint64_t>(
      static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(value))));
}

/// The only counter that can leave out what aborted transactions counted.
constexpr unsigned kTxcpCounter = 2;

}  // namespace

Pmu::Target Pmu::decode_intel(MsrIndex msr) const {
  using Kind = Target::Kind;
  // Indices are cut to the arrays' size again, so that not even speculation reads past them.
  const auto at = [](Kind kind, std::uint32_t index, std::size_t size) {
    return Target{kind, static_cast<std::uint8_t>(index % size)};
  };
  if (const auto i = offset(msr, msr::IA32_PMC0); i < config_.gp_counters) {
    return at(Kind::kCounter, i, kMaxGp);
  }
  if (const auto i = offset(msr, msr::IA32_PERFEVTSEL0); i < config_.gp_counters) {
    return at(Kind::kEventSelect, i, kMaxGp);
  }
  if (const auto i = offset(msr, msr::IA32_A_PMC0);
      i < config_.gp_counters &&
      (perf_capabilities_ & mask_of(PerfCapabilities::kFullWidthWrite)) != 0) {
    return at(Kind::kFullCounter, i, kMaxGp);
  }
  if (const auto k = offset(msr, msr::IA32_FIXED_CTR0); k < config_.fixed_counters) {
    return at(Kind::kFixedCounter, k, kMaxFixed);
  }
  if (config_.version > 1) {
    if (msr == msr::IA32_FIXED_CTR_CTRL) return {Kind::kFixedControl};
    if (msr == msr::IA32_PERF_GLOBAL_STATUS) return {Kind::kGlobalStatus};
    if (msr == msr::IA32_PERF_GLOBAL_CTRL) return {Kind::kGlobalControl};
    if (msr == msr::IA32_PERF_GLOBAL_OVF_CTRL) return {Kind::kGlobalStatusReset};
  }
  if (config_.version > 3) {
    if (msr == msr::IA32_PERF_GLOBAL_STATUS_SET) return {Kind::kGlobalStatusSet};
    if (msr == msr::IA32_PERF_GLOBAL_INUSE) return {Kind::kGlobalInuse};
  }
  return {Kind::kNotMine};
}

std::uint64_t Pmu::writable_event_select(unsigned i) const {
  if (!config_.tsx || i != kTxcpCounter) return event_select_writable_;
  return event_select_writable_ | mask_of(EventSelect::kInTxcp);
}

Access Pmu::write_intel(Target target, std::uint64_t value, Initiator initiator) {
  using Kind = Target::Kind;
  const bool by_guest = initiator == Initiator::kGuest;
  // What is reserved is reserved whether or not the write would change anything.
  switch (target.kind) {
    case Kind::kCounter:
      // Migration writes whole values here.
      set_counter(gp_counter(target.index), by_guest ? sign_extend_32(value) : value);
      return Access::done();
    case Kind::kFullCounter:
      if ((value & ~mask(gp_counter(target.index))) != 0) return Access::fault();
      set_counter(gp_counter(target.index), value);
      return Access::done();
    case Kind::kFixedCounter:
      // Reserved bits are cut off, as KVM does.
      set_counter(fixed_counter(target.index), value);
      return Access::done();
    case Kind::kEventSelect:
      if ((value & ~writable_event_select(target.index)) != 0) return Access::fault();
      set_event_select(target.index, value);
      return Access::done();
    case Kind::kFixedControl:
      if ((value & ~fixed_control_writable_) != 0) return Access::fault();
      set_fixed_control(value);
      return Access::done();
    case Kind::kGlobalControl:
      if ((value & ~global_control_writable_) != 0) return Access::fault();
      set_global_control(value);
      return Access::done();
    case Kind::kGlobalStatus:
      if (by_guest || (value & ~global_status_valid_) != 0) return Access::fault();
      change_global_status(~value, value);
      return Access::done();
    case Kind::kGlobalStatusReset:
    case Kind::kGlobalStatusSet: {
      if (!by_guest) return Access::done();  // a blind restore changes nothing
      const bool set = target.kind == Kind::kGlobalStatusSet;
      const std::uint64_t reserved =
          ~global_status_valid_ | (set ? mask_of(GlobalStatus::kCondChgd) : 0);
      if ((value & reserved) != 0) return Access::fault();
      change_global_status(set ? 0 : value, set ? value : 0);
      return Access::done();
    }
    default: return Access::fault();  // IA32_PERF_GLOBAL_INUSE is read-only
  }
}

}  // namespace vpmu::virt::x86
