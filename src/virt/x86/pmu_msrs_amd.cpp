// SPDX-License-Identifier: MIT
//
// Virtual PMU: the MSRs of AMD's performance counters, APM vol. 2 13.2: K7, core extension,
// PerfMonV2. Reserved bits and writes of read-only registers are ignored; what Intel faults on does
// not fault here.
#include "virt/x86/counter_sets.hpp"
#include "virt/x86/pmu_target.hpp"
#include "vpmu/silicon/x86/msrs.hpp"

namespace vpmu::virt::x86 {

namespace msr = silicon::x86::msr;

namespace {
/// K7 MSRs are aliases of the first four counters.
constexpr std::uint32_t kK7Counters = 4;
}  // namespace

Pmu::Target Pmu::decode_amd(MsrIndex msr) const {
  using Kind = Target::Kind;
  // Indices are cut to the arrays' size again, so that not even speculation reads past them.
  const auto at = [](Kind kind, std::uint32_t index) {
    return Target{kind, static_cast<std::uint8_t>(index % kMaxGp)};
  };
  if (config_.version == 0) return {Kind::kNotMine};
  if (const auto i = offset(msr, msr::K7_EVNTSEL0); i < kK7Counters) {
    return at(Kind::kEventSelect, i);
  }
  if (const auto i = offset(msr, msr::K7_PERFCTR0); i < kK7Counters) return at(Kind::kCounter, i);
  if (config_.core_extension) {
    const auto place = offset(msr, msr::PERF_CTL0);
    if (place < 2u * config_.gp_counters) {
      return at(place % 2 == 0 ? Kind::kEventSelect : Kind::kCounter, place / 2);
    }
  }
  if (config_.version > 1) {
    if (msr == msr::PerfCntrGlobalStatus) return {Kind::kGlobalStatus};
    if (msr == msr::PerfCntrGlobalCtl) return {Kind::kGlobalControl};
    if (msr == msr::PerfCntrGlobalStatusClr) return {Kind::kGlobalStatusReset};
    if (msr == msr::PerfCntrGlobalStatusSet) return {Kind::kGlobalStatusSet};
  }
  return {Kind::kNotMine};
}

Access Pmu::write_amd(Target target, std::uint64_t value, Initiator initiator) {
  using Kind = Target::Kind;
  const bool by_guest = initiator == Initiator::kGuest;
  switch (target.kind) {
    case Kind::kCounter: set_counter(gp_counter(target.index), value); break;
    case Kind::kEventSelect: set_event_select(target.index, value & event_select_writable_); break;
    case Kind::kGlobalControl: set_global_control(value & global_control_writable_); break;
    case Kind::kGlobalStatus:
      if (by_guest) break;
      if ((value & ~global_status_valid_) != 0) return Access::fault();
      change_global_status(~value, value);
      break;
    case Kind::kGlobalStatusReset:
      // A blind restore changes nothing.
      if (by_guest) change_global_status(value, 0);
      break;
    case Kind::kGlobalStatusSet:
      if (by_guest) change_global_status(0, value & global_status_valid_);
      break;
    default: break;
  }
  return Access::done();
}

}  // namespace vpmu::virt::x86
