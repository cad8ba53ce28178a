// SPDX-License-Identifier: MIT
//
// Virtual PMUv3: reading and writing registers, and who may.
#include <bit>

#include "virt/counter_sets.hpp"
#include "vpmu/virt/arm64/pmu.hpp"

namespace vpmu::virt::arm64 {

using silicon::Privilege;
using silicon::arm64::kChain;
using silicon::arm64::kExtendedEvents;
using silicon::arm64::kSwIncr;
using silicon::arm64::Pmcr;
using silicon::arm64::PmEvTyper;
using silicon::arm64::PmSelr;
using silicon::arm64::PmUserEnr;
using silicon::arm64::SystemRegister;
namespace reg = silicon::arm64::reg;

enum class Pmu::Target::Kind : std::uint8_t {
  kNotMine,
  kUndefined,  ///< of the counters' encodings the one that is no counter
  kControl,
  kEnableSet,
  kEnableClear,
  kOverflowSet,
  kOverflowClear,
  kInterruptSet,
  kInterruptClear,
  kSoftwareIncrement,
  kSelect,
  kCommonEvents0,
  kCommonEvents1,
  kUserEnable,
  kMachineIdentification,
  kCounter,  ///< of Target::counter, which need not exist
  kType,
};

namespace {

/// What EL0 must have been given: one of these bits of PMUSERENR_EL0.
constexpr std::uint64_t kAlways = ~std::uint64_t{0};
constexpr std::uint64_t kEn = mask_of(PmUserEnr::kEn);
constexpr std::uint64_t kEnSw = kEn | mask_of(PmUserEnr::kSw);
constexpr std::uint64_t kEnCr = kEn | mask_of(PmUserEnr::kCr);
constexpr std::uint64_t kEnEr = kEn | mask_of(PmUserEnr::kEr);

/// Events 0 and up in the lower half of PMCEID0_EL0, 32 and up in that of PMCEID1_EL0; those 0x4000
/// above in the upper halves.
constexpr std::uint16_t common_event(unsigned word, unsigned place) {
  const unsigned range = place < 32 ? 0u : unsigned{kExtendedEvents};
  return static_cast<std::uint16_t>(range + 32 * word + place % 32);
}

}  // namespace

/// An access that the architecture has at some exception level.
struct Pmu::Rule {
  bool at_el1 = false;
  bool at_el0 = false;
  std::uint64_t needs = 0;  ///< at EL0

  static constexpr Rule nowhere() { return {}; }
  static constexpr Rule el1() { return {true, false, 0}; }
  static constexpr Rule everywhere(std::uint64_t needs) { return {true, true, needs}; }
};

Pmu::Rule Pmu::rule(Target target, bool write) {
  using Kind = Target::Kind;
  switch (target.kind) {
    case Kind::kNotMine:
    case Kind::kUndefined: return Rule::nowhere();
    case Kind::kControl:
    case Kind::kEnableSet:
    case Kind::kEnableClear:
    case Kind::kOverflowSet:
    case Kind::kOverflowClear:
    case Kind::kType: return Rule::everywhere(kEn);
    case Kind::kInterruptSet:
    case Kind::kInterruptClear: return Rule::el1();
    case Kind::kSoftwareIncrement: return write ? Rule::everywhere(kEnSw) : Rule::nowhere();
    case Kind::kSelect: return Rule::everywhere(kEnEr);
    case Kind::kCommonEvents0:
    case Kind::kCommonEvents1: return write ? Rule::nowhere() : Rule::everywhere(kEn);
    case Kind::kUserEnable: return write ? Rule::el1() : Rule::everywhere(kAlways);
    case Kind::kMachineIdentification: return write ? Rule::nowhere() : Rule::el1();
    case Kind::kCounter:
      if (write) return Rule::everywhere(kEn);
      return Rule::everywhere(target.counter == arm64::kCycleCounter ? kEnCr : kEnEr);
  }
  return Rule::nowhere();
}

/// Done: what there is to do can be done.
Access Pmu::permission(Target target, bool write, Privilege privilege) const {
  if (target.kind == Target::Kind::kNotMine) return Access::not_mine();
  if (config_.version == 0) return Access::fault();
  const Rule checked = rule(target, write);
  const bool el0 = privilege == Privilege::kUser;
  if (!(el0 ? checked.at_el0 : checked.at_el1)) return Access::fault();
  if (el0 && checked.needs != kAlways && (user_enable_ & checked.needs) == 0) return Access::trap();
  return exists(target) ? Access::done() : Access::fault();
}

/// As on KVM, a counter beyond PMCR_EL0.N is undefined wherever it is named or selected.
bool Pmu::exists(Target target) const {
  using Kind = Target::Kind;
  switch (target.kind) {
    case Kind::kCounter:
    case Kind::kType: return (all_counters_ & bit(target.counter)) != 0;
    case Kind::kMachineIdentification: return config_.version >= silicon::arm64::kPmuV3p4;
    default: return true;
  }
}

Pmu::Target Pmu::decode(SystemRegister which) const {
  using Kind = Target::Kind;
  const auto selected = static_cast<CounterIndex>(selected_);
  switch (which) {
    case reg::PMCR_EL0: return {Kind::kControl};
    case reg::PMCNTENSET_EL0: return {Kind::kEnableSet};
    case reg::PMCNTENCLR_EL0: return {Kind::kEnableClear};
    case reg::PMOVSSET_EL0: return {Kind::kOverflowSet};
    case reg::PMOVSCLR_EL0: return {Kind::kOverflowClear};
    case reg::PMINTENSET_EL1: return {Kind::kInterruptSet};
    case reg::PMINTENCLR_EL1: return {Kind::kInterruptClear};
    case reg::PMSWINC_EL0: return {Kind::kSoftwareIncrement};
    case reg::PMSELR_EL0: return {Kind::kSelect};
    case reg::PMCEID0_EL0: return {Kind::kCommonEvents0};
    case reg::PMCEID1_EL0: return {Kind::kCommonEvents1};
    case reg::PMUSERENR_EL0: return {Kind::kUserEnable};
    case reg::PMMIR_EL1: return {Kind::kMachineIdentification};
    case reg::PMCCNTR_EL0: return {Kind::kCounter, arm64::kCycleCounter};
    case reg::PMCCFILTR_EL0: return {Kind::kType, arm64::kCycleCounter};
    case reg::PMXEVCNTR_EL0: return {Kind::kCounter, selected};
    case reg::PMXEVTYPER_EL0: return {Kind::kType, selected};
    default: return decode_numbered(which);
  }
}

/// PMEVCNTR<n>_EL0 and PMEVTYPER<n>_EL0.
Pmu::Target Pmu::decode_numbered(SystemRegister which) {
  using Kind = Target::Kind;
  constexpr unsigned kCounters = raw(reg::PMEVCNTR_EL0(0)), kTypes = raw(reg::PMEVTYPER_EL0(0));
  constexpr unsigned kNone = 31;
  const unsigned n = raw(which) & 31;
  switch (raw(which) - n) {
    case kCounters: return {n == kNone ? Kind::kUndefined : Kind::kCounter, event_counter(n)};
    case kTypes: return {Kind::kType, event_counter(n)};
    default: return {Kind::kNotMine};
  }
}

Access Pmu::read_register(SystemRegister which, Privilege privilege, Initiator initiator) {
  using Kind = Target::Kind;
  const Target target = decode(which);
  const bool host = initiator == Initiator::kHost;
  const Access permitted = permission(target, false, host ? Privilege::kKernel : privilege);
  if (!permitted.is_done()) return permitted;
  settle_overflows();
  switch (target.kind) {
    case Kind::kControl: return Access::done(control());
    case Kind::kEnableSet:
    case Kind::kEnableClear: return Access::done(enabled_);
    case Kind::kOverflowSet:
    case Kind::kOverflowClear: return Access::done(overflowed_);
    case Kind::kInterruptSet:
    case Kind::kInterruptClear: return Access::done(interrupting_);
    case Kind::kSelect: return Access::done(selected_);
    case Kind::kCommonEvents0: return Access::done(common_events(0));
    case Kind::kCommonEvents1: return Access::done(common_events(1));
    case Kind::kUserEnable: return Access::done(user_enable_);
    case Kind::kMachineIdentification: return Access::done(config_.slots);
    case Kind::kCounter:
      counter(target.counter).touched = true;
      // What a guest has seen once is never taken back, even if the event is lost the next moment.
      fold(target.counter);
      return Access::done(counter(target.counter).value);
    case Kind::kType:
      counter(target.counter).touched = true;
      return Access::done(counter(target.counter).type);
    default: return Access::fault();
  }
}

Access Pmu::write_register(SystemRegister which, std::uint64_t value, Privilege privilege,
                           Initiator initiator) {
  const Target target = decode(which);
  const bool host = initiator == Initiator::kHost;
  const Access permitted = permission(target, true, host ? Privilege::kKernel : privilege);
  if (!permitted.is_done()) return permitted;
  settle_overflows();
  if (!host || !write_whole(target, value)) write(target, value, privilege);
  entry_work_ = true;
  return Access::done();
}

void Pmu::write(Target target, std::uint64_t value, Privilege privilege) {
  using Kind = Target::Kind;
  const std::uint64_t counters = value & all_counters_;
  switch (target.kind) {
    case Kind::kControl: return write_control(value);
    case Kind::kEnableSet: return set_enabled(enabled_ | counters);
    case Kind::kEnableClear: return set_enabled(enabled_ & ~counters);
    case Kind::kOverflowSet: overflowed_ |= counters; return;
    case Kind::kOverflowClear: overflowed_ &= ~counters; return;
    case Kind::kInterruptSet: interrupting_ |= counters; return;
    case Kind::kInterruptClear: interrupting_ &= ~counters; return;
    case Kind::kSoftwareIncrement: return software_increment(counters, privilege);
    case Kind::kSelect: selected_ = value & mask_of(PmSelr::kSel); return;
    case Kind::kUserEnable: user_enable_ = value & PmUserEnr::kWritable; return;
    case Kind::kCounter: return set_counter(target.counter, value);
    case Kind::kType: return set_type(target.counter, value);
    default: return;
  }
}

/// What the host sets as a whole where a guest only sets or clears bits. False: it writes as a
/// guest does.
bool Pmu::write_whole(Target target, std::uint64_t value) {
  using Kind = Target::Kind;
  const std::uint64_t counters = value & all_counters_;
  switch (target.kind) {
    case Kind::kControl: set_control(value); return true;
    case Kind::kEnableSet:
    case Kind::kEnableClear: set_enabled(counters); return true;
    case Kind::kOverflowSet:
    case Kind::kOverflowClear: overflowed_ = counters; return true;
    case Kind::kInterruptSet:
    case Kind::kInterruptClear: interrupting_ = counters; return true;
    default: return false;
  }
}

// ---- Registers ----------------------------------------------------------------------------------

std::uint64_t Pmu::control() const {
  Pmcr read{{control_}};
  read.set(Pmcr::kN, config_.event_counters);
  if (!config_.aarch32) read.set(Pmcr::kLc, 1);
  return read.raw;
}

void Pmu::write_control(std::uint64_t value) {
  constexpr std::uint64_t kCycles = bit(arm64::kCycleCounter);
  const Pmcr written{{value}};
  std::uint64_t cleared = 0;
  if (written.get(Pmcr::kP) != 0) cleared |= all_counters_ & ~kCycles;
  if (written.get(Pmcr::kC) != 0) cleared |= kCycles;
  for_each(cleared, [this](CounterIndex index) { set_counter(index, 0); });
  set_control(value);
}

void Pmu::set_control(std::uint64_t value) {
  // What the divider has divided so far stays divided.
  fold(arm64::kCycleCounter);
  const std::uint64_t changed = (value ^ control_) & control_writable_;
  control_ ^= changed;
  if ((changed & mask_of(Pmcr::kE)) != 0) request_reprogram(enabled_);
  if ((changed & mask_of(Pmcr::kLc, Pmcr::kD)) != 0) request_reprogram(bit(arm64::kCycleCounter));
  if ((changed & mask_of(Pmcr::kLp)) != 0) request_reprogram(all_counters_);
}

void Pmu::set_enabled(std::uint64_t counters) {
  const std::uint64_t changed = counters ^ enabled_;
  enabled_ = counters;
  for_each(changed, [this](CounterIndex index) { counter(index).touched = true; });
  if (changed != 0) request_reprogram(changed);
}

void Pmu::set_type(CounterIndex index, std::uint64_t value) {
  Counter& written = counter(index);
  written.touched = true;
  const std::uint64_t type = value & writable_type(index);
  if (written.type == type) return;
  written.type = type;
  request_reprogram(bit(index));
}

void Pmu::set_counter(CounterIndex index, std::uint64_t value) {
  Counter& written = counter(index);
  written.touched = true;
  fold(index);
  if (index == arm64::kCycleCounter) undivided_ = 0;
  written.value = value & mask(index);
  written.host.set_period(perf_, period(index));
}

void Pmu::software_increment(std::uint64_t counters, Privilege privilege) {
  const std::uint64_t filter =
      privilege == Privilege::kUser ? mask_of(PmEvTyper::kU) : mask_of(PmEvTyper::kP);
  for_each(counters & ~bit(arm64::kCycleCounter), [&](CounterIndex index) {
    const bool excluded = (counter(index).type & filter) != 0;
    if (event(index) == kSwIncr && enabled(index) && !excluded) count_one(index);
  });
}

std::uint64_t Pmu::common_events(unsigned word) const {
  constexpr std::uint64_t kOfArmv8_0 = 0xffff'ffff;
  std::uint64_t events = config_.common_events[word];
  if (word == 0) {
    const unsigned counters = config_.event_counters;
    if (counters > 0) events |= std::uint64_t{1} << kSwIncr;
    if (counters > 1 && !has_long_counters(config_)) events |= std::uint64_t{1} << kChain;
  }
  if (config_.version < silicon::arm64::kPmuV3p1) events &= kOfArmv8_0;
  if (gate_ == nullptr) return events;
  for (std::uint64_t left = events; left != 0; left &= left - 1) {
    const auto place = static_cast<unsigned>(std::countr_zero(left));
    if (!gate_->admits(common_event(word, place))) events &= ~(std::uint64_t{1} << place);
  }
  return events;
}

}  // namespace vpmu::virt::arm64
