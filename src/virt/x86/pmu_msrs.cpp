// SPDX-License-Identifier: MIT
//
// Virtual PMU: what reading and writing each register does.
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

using silicon::x86::DebugCtl;
using silicon::x86::FixedControl;
using silicon::x86::MiscEnable;
using silicon::x86::PerfCapabilities;
using silicon::x86::RdpmcIndex;
namespace msr = silicon::x86::msr;

enum class Pmu::Target::Kind : std::uint8_t {
  kNotMine,
  kAbsent,         ///< a performance monitoring MSR that this guest has not: #GP
  kLegacyIgnored,  ///< reads 0, writes vanish: what old guests probe without asking CPUID
  kCounter,        ///< IA32_PMCx: guest writes are 32 bits wide, sign-extended
  kFullCounter,    ///< IA32_A_PMCx
  kFixedCounter,
  kEventSelect,
  kFixedControl,
  kGlobalStatus,
  kGlobalControl,
  kGlobalOverflowControl,
  kPerfCapabilities,
  kMiscEnable,
  kDebugControl,
};

namespace {

constexpr std::uint64_t low_bits(unsigned count) {
  return (std::uint64_t{1} << count) - 1;
}

/// Place of `msr` in a run of `count` from `first`; `count` or more if it is not in it.
constexpr std::uint32_t offset(MsrIndex msr, MsrIndex first) {
  return raw(msr) - raw(first);
}

constexpr std::uint64_t sign_extend_32(std::uint64_t value) {
  return static_cast<std::uint64_t>(
      static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<std::uint32_t>(value))));
}

}  // namespace

// ---- Which register -----------------------------------------------------------------------------

Pmu::Target Pmu::decode(MsrIndex msr) const {
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
      (config_.perf_capabilities & mask_of(PerfCapabilities::kFullWidthWrite)) != 0) {
    return at(Kind::kFullCounter, i, kMaxGp);
  }
  if (const auto k = offset(msr, msr::IA32_FIXED_CTR0); k < config_.fixed_counters) {
    return at(Kind::kFixedCounter, k, kMaxFixed);
  }
  if (config_.version > 1) {
    if (msr == msr::IA32_FIXED_CTR_CTRL) return {Kind::kFixedControl};
    if (msr == msr::IA32_PERF_GLOBAL_STATUS) return {Kind::kGlobalStatus};
    if (msr == msr::IA32_PERF_GLOBAL_CTRL) return {Kind::kGlobalControl};
    if (msr == msr::IA32_PERF_GLOBAL_OVF_CTRL) return {Kind::kGlobalOverflowControl};
  }
  if (msr == msr::IA32_PERF_CAPABILITIES) return {Kind::kPerfCapabilities};
  if (msr == msr::IA32_MISC_ENABLE) return {Kind::kMiscEnable};
  if (msr == msr::IA32_DEBUGCTL) return {Kind::kDebugControl};
  return decode_absent(msr);
}

Pmu::Target Pmu::decode_absent(MsrIndex msr) const {
  using Kind = Target::Kind;
  const bool legacy = offset(msr, msr::IA32_PMC0) < 2 || offset(msr, msr::IA32_PERFEVTSEL0) < 2 ||
                      (msr >= msr::K7_EVNTSEL0 && msr <= msr::K7_PERFCTR3);
  if (legacy) return {Kind::kLegacyIgnored};
  const bool known =
      offset(msr, msr::IA32_PMC0) < kMaxGp || offset(msr, msr::IA32_PERFEVTSEL0) < kMaxGp ||
      offset(msr, msr::IA32_A_PMC0) < kMaxGp || offset(msr, msr::IA32_FIXED_CTR0) < kMaxFixed ||
      msr == msr::MSR_PERF_METRICS ||
      (msr >= msr::IA32_FIXED_CTR_CTRL && msr <= msr::IA32_PERF_GLOBAL_INUSE) ||
      msr == msr::IA32_PEBS_ENABLE || msr == msr::MSR_PEBS_DATA_CFG || msr == msr::IA32_DS_AREA;
  return {known ? Kind::kAbsent : Kind::kNotMine};
}

// ---- Reads --------------------------------------------------------------------------------------

Access Pmu::read_msr(MsrIndex msr, Initiator initiator) {
  using Kind = Target::Kind;
  const Target target = decode(msr);
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
      return Access::done(event_select_[target.index].raw);
    case Kind::kFixedControl: return Access::done(fixed_control_);
    case Kind::kGlobalStatus: return Access::done(global_status_);
    case Kind::kGlobalControl: return Access::done(global_control_);
    case Kind::kGlobalOverflowControl: return Access::done(0);
    case Kind::kPerfCapabilities:
      if (!config_.has_perf_capabilities && initiator == Initiator::kGuest) return Access::fault();
      return Access::done(config_.perf_capabilities);
    case Kind::kMiscEnable: return Access::done(misc_enable_);
    case Kind::kDebugControl: return Access::done(debug_control_);
  }
  return Access::not_mine();
}

Access Pmu::rdpmc(std::uint32_t ecx, bool may_read) {
  if (config_.version == 0) return Access::fault();
  const RdpmcIndex index{{ecx}};
  const std::uint32_t number = index.get(RdpmcIndex::kCounter);
  CounterIndex read{};
  if (index.get(RdpmcIndex::kType) == RdpmcIndex::kGeneralPurpose) {
    if (number >= config_.gp_counters) return Access::fault();
    read = gp_counter(number % kMaxGp);
  } else if (index.get(RdpmcIndex::kType) == RdpmcIndex::kFixed) {
    if (number >= config_.fixed_counters) return Access::fault();
    read = fixed_counter(number % kMaxFixed);
  } else {
    // Among them bit 31, "fast": architectural PMUs have no such mode.
    return Access::fault();
  }
  if (!may_read) return Access::fault();
  return Access::done(read_counter(read));
}

// ---- Writes -------------------------------------------------------------------------------------

Access Pmu::write_msr(MsrIndex msr, std::uint64_t value, Initiator initiator) {
  using Kind = Target::Kind;
  const bool by_guest = initiator == Initiator::kGuest;
  const Target target = decode(msr);
  switch (target.kind) {
    case Kind::kNotMine: return Access::not_mine();
    case Kind::kAbsent: return Access::fault();
    case Kind::kLegacyIgnored: return Access::done();
    case Kind::kCounter:
      // Migration writes whole values here.
      return write_counter(gp_counter(target.index), by_guest ? sign_extend_32(value) : value);
    case Kind::kFullCounter:
      if ((value & ~mask(gp_counter(target.index))) != 0) return Access::fault();
      return write_counter(gp_counter(target.index), value);
    case Kind::kFixedCounter: return write_counter(fixed_counter(target.index), value);
    case Kind::kEventSelect: return write_event_select(target.index, value);
    case Kind::kFixedControl: return write_fixed_control(value);
    case Kind::kGlobalStatus:
      if (by_guest || (value & ~global_status_valid_) != 0) return Access::fault();
      global_status_ = value;
      return Access::done();
    case Kind::kGlobalControl: return write_global_control(value);
    case Kind::kGlobalOverflowControl:
      if (!by_guest) return Access::done();  // a blind restore clears nothing
      if ((value & ~global_status_valid_) != 0) return Access::fault();
      global_status_ &= ~value;
      return Access::done();
    case Kind::kPerfCapabilities:
      if (by_guest || value != config_.perf_capabilities) return Access::fault();
      return Access::done();
    case Kind::kMiscEnable: return write_misc_enable(value, initiator);
    case Kind::kDebugControl: return write_debug_control(value);
  }
  return Access::not_mine();
}

Access Pmu::write_counter(CounterIndex index, std::uint64_t value) {
  Counter& written = counter(index);
  written.touched = true;
  fold(index);
  written.value = value & mask(index);
  if (written.event != hostperf::kNoEvent) {
    perf_.set_period(written.event, mask(index) - written.value + 1);
  }
  return Access::done();
}

Access Pmu::write_event_select(unsigned i, std::uint64_t value) {
  if ((value & ~event_select_writable_) != 0) return Access::fault();
  gp_[i].touched = true;
  if (event_select_[i].raw != value) {
    event_select_[i].raw = value;
    request_reprogram(std::uint64_t{1} << i);
  }
  return Access::done();
}

Access Pmu::write_fixed_control(std::uint64_t value) {
  if ((value & ~fixed_control_writable_) != 0) return Access::fault();
  const std::uint64_t changed = value ^ fixed_control_;
  fixed_control_ = value;
  std::uint64_t counters = 0;
  for (unsigned k = 0; k < config_.fixed_counters; ++k) {
    fixed_[k].touched = true;
    if ((changed >> (FixedControl::kBits * k) & low_bits(FixedControl::kBits)) != 0) {
      counters |= std::uint64_t{1} << static_cast<unsigned>(fixed_counter(k));
    }
  }
  if (counters != 0) request_reprogram(counters);
  return Access::done();
}

Access Pmu::write_global_control(std::uint64_t value) {
  if ((value & ~global_control_writable_) != 0) return Access::fault();
  const std::uint64_t changed = value ^ global_control_;
  global_control_ = value;
  if (changed != 0) request_reprogram(changed);
  return Access::done();
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

/// A guest without LBR, bus lock detection and TSX: LBR and BTF are dropped, the rest is reserved.
Access Pmu::write_debug_control(std::uint64_t value) {
  constexpr std::uint64_t kDropped = mask_of(DebugCtl::kLbr, DebugCtl::kBtf);
  if ((value & ~kDropped) != 0) return Access::fault();
  return Access::done();
}

}  // namespace vpmu::virt::x86
