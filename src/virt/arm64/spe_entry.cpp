// SPDX-License-Identifier: MIT
//
// Virtual SPE: entering the guest and leaving it, and the interrupt.
#include "vpmu/base/ensure.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::Pmblimitr;
using silicon::arm64::Pmbsr;
using silicon::arm64::Pmscr;
namespace reg = silicon::arm64::reg;

namespace {
/// An external abort, synchronous, at stage 1: all that a guest may know of what is not its own.
constexpr std::uint64_t kAbort = 0x9006'0010;
}  // namespace

Spe::Spe(SpeVm& vm, silicon::arm64::SpeUnit* unit, SpeSink& sink)
    : vm_{vm}, unit_{unit}, sink_{sink} {
  ensure(!vm.usable() || unit != nullptr);
  if (unit == nullptr) return;
  /// Units that never run write nothing.
  class Nowhere final : public silicon::arm64::SpeBuffer {
    tl::expected<void, Fault> write(std::uint64_t /*address*/,
                                    std::span<const std::uint8_t> /*bytes*/) override {
      return {};
    }
  };
  static Nowhere nowhere;
  guest_.emplace(unit->model(), 0, nowhere);
  host_.emplace(unit->model(), 0, nowhere);
  switch_.emplace(vm.config().flavour, *unit, *guest_, *host_);
}

std::uint8_t Spe::version() const {
  return has_feature_ ? unit_->model().version : std::uint8_t{0};
}

SpeSwitchStatistics Spe::switch_statistics() const {
  return switch_ ? switch_->statistics() : SpeSwitchStatistics{};
}

// ---- Entry --------------------------------------------------------------------------------------

/// The host has the only unit.
bool Spe::host_has_it() const {
  return vm_.config().exclusive && host_has_unit_;
}

/// While it is entered, the guest has a unit.
bool Spe::has_unit() const {
  return has_feature_ && stop_ == SpeStop::kRunning && !host_has_it();
}

/// A guest without the unit must not be sampled by mistake. At EL2, that needs nothing unless the
/// guest has the feature: EL2 keeps the buffer then.
bool Spe::stops_host() const {
  if (!switch_ || host_has_it()) return false;
  return has_feature_ || vm_.config().flavour != SpeFlavour::kVhe;
}

SpeEntry Spe::may_run_on(hostperf::HostCpu host_cpu) const {
  const auto cpu = static_cast<unsigned>(host_cpu);
  if (!supported_.empty() && !supported_.contains(cpu)) return SpeEntry::kCpuOutsideSet;
  if (!has_feature_) return SpeEntry::kDone;
  const CpuSet& with_unit = vm_.config().cpus;
  if (!with_unit.contains(cpu)) return SpeEntry::kNoUnit;
  const bool valid =
      vm_.everywhere() || (!supported_.empty() && supported_.is_subset_of(with_unit));
  return valid ? SpeEntry::kDone : SpeEntry::kNoValidSet;
}

/// The guest would profile at some exception level: at EL0 also without another trap.
bool Spe::wants_to_profile() const {
  const Pmblimitr limit{guest_value(reg::PMBLIMITR_EL1)};
  constexpr std::uint64_t kEnables = mask_of(Pmscr::kE0spe, Pmscr::kE1spe);
  return limit.get(Pmblimitr::kE) != 0 && !asserted_ &&
         (guest_value(reg::PMSCR_EL1) & kEnables) != 0;
}

SpeEntry Spe::may_enter(hostperf::HostCpu cpu) const {
  if (const SpeEntry there = may_run_on(cpu); there != SpeEntry::kDone || !has_feature_) {
    return there;
  }
  if (!initialised_) return SpeEntry::kNotInitialised;
  const bool stopped = stop_ == SpeStop::kExit && wants_to_profile();
  return stopped ? SpeEntry::kStoppedAndProfiles : SpeEntry::kDone;
}

SpeEntry Spe::enter(hostperf::HostCpu cpu) {
  if (entered_) return SpeEntry::kDone;
  if (const SpeEntry may = may_enter(cpu); may != SpeEntry::kDone) {
    ++exits_.refused;
    return may;
  }
  has_run_ = true;
  entered_ = true;
  const bool unit = has_unit();
  const bool buffer = unit && wants_buffer();
  if (has_feature_ && !buffer) sink_.release_buffer();
  if (unit) {
    switch_->enter(buffer, vm_.owner());
  } else if (stops_host()) {
    switch_->enter_without();
  }
  return SpeEntry::kDone;
}

/// Whether the unit gets the guest's buffer: not while the interrupt is pending, not if it is
/// larger than it may be, and not if it could not write there.
bool Spe::wants_buffer() {
  const Pmblimitr limit{guest_value(reg::PMBLIMITR_EL1)};
  if (limit.get(Pmblimitr::kE) == 0 || asserted_) return false;
  const std::uint64_t end = limit.raw & mask_of(Pmblimitr::kLimit);
  const std::uint64_t start = guest_value(reg::PMBPTR_EL1);
  const std::uint64_t most = vm_.max_buffer_bytes();
  const bool too_large = most != 0 && end > start && end - start > most;
  const SpeBufferAnswer answer =
      too_large ? SpeBufferAnswer::kTooLarge : sink_.prepare_buffer(start, end);
  if (answer == SpeBufferAnswer::kReady) return true;
  deny_buffer(answer);
  return false;
}

void Spe::deny_buffer(SpeBufferAnswer answer) {
  SpeTrouble found = trouble();
  if (answer == SpeBufferAnswer::kUnavailable) {
    found.syndrome.raw = kAbort;
    report(SpeTrouble::Kind::kUnavailable, ++exits_.unavailable, found);
  } else {
    found.syndrome.raw = mask_of(Pmbsr::kS) | Pmbsr::kBscTooLarge;
    report(SpeTrouble::Kind::kTooLarge, ++exits_.too_large, found);
  }
  raise(found.syndrome.raw);
}

void Spe::exit() {
  if (!entered_) return;
  entered_ = false;
  if (has_unit()) {
    if (switch_->exit()) settle_event();
  } else if (stops_host()) {
    switch_->exit_without();
  }
}

void Spe::scheduled_out() {
  exit();
  if (has_feature_) switch_->give_back();
}

void Spe::set_host_has_unit(bool has) {
  if (vm_.config().exclusive && has != host_has_unit_) scheduled_out();
  host_has_unit_ = has;
}

void Spe::reset() {
  if (!has_feature_) return;
  scheduled_out();
  guest_->reset();
  update_line();
}

// ---- The interrupt ------------------------------------------------------------------------------

/// The unit has raised its interrupt. What the guest writes to PMBSR_EL1 never comes here, so that
/// an abort of stage 2 that is found here is a real one.
void Spe::settle_event() {
  using Kind = SpeTrouble::Kind;
  const SpeTrouble found = trouble();
  const std::uint64_t what = found.syndrome.get(Pmbsr::kEc);
  ++exits_.events;
  if (what == Pmbsr::kEcOther && unit_->statistics().misprogrammed > exits_.misprogrammed) {
    report(Kind::kMisprogrammed, ++exits_.misprogrammed, found);
  } else if (what == Pmbsr::kEcOther) {
    ++exits_.full;
  } else if (what != Pmbsr::kEcStage1) {
    replace(found);
  } else if (found.syndrome.get(Pmbsr::kEa) != 0) {
    report(Kind::kFault, ++exits_.external_aborts + exits_.stage1_faults, found);
  } else {
    report(Kind::kFault, ++exits_.stage1_faults + exits_.external_aborts, found);
  }
  update_line();
}

void Spe::replace(SpeTrouble trouble) {
  report(SpeTrouble::Kind::kReplaced, ++exits_.replaced, trouble);
  raise(kAbort);
}

SpeTrouble Spe::trouble() const {
  return {.syndrome = {{guest_value(reg::PMBSR_EL1)}},
          .pointer = guest_value(reg::PMBPTR_EL1),
          .limit = guest_value(reg::PMBLIMITR_EL1) & mask_of(Pmblimitr::kLimit)};
}

/// It has happened so many times.
void Spe::report(SpeTrouble::Kind kind, std::uint64_t times, SpeTrouble trouble) {
  if (times != 1 || observer_ == nullptr) return;
  trouble.kind = kind;
  observer_->spe_trouble(trouble);
}

void Spe::raise(std::uint64_t syndrome) {
  ensure(guest_->write(reg::PMBSR_EL1, syndrome).is_done());
  update_line();
}

/// The line follows what the guest finds in PMBSR_EL1.S, whoever set it.
void Spe::update_line() {
  const bool asserted = guest_->interrupt();
  if (asserted == asserted_) return;
  asserted_ = asserted;
  if (asserted) ++exits_.interrupts;
  sink_.set_buffer_line(asserted);
}

}  // namespace vpmu::virt::arm64
