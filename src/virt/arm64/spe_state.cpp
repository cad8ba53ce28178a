// SPDX-License-Identifier: MIT
//
// Virtual SPE: what moves with the guest.
#include "vpmu/virt/arm64/spe_state.hpp"

#include "virt/pmu_state_check.hpp"
#include "vpmu/base/ensure.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::Pmblimitr;
using silicon::arm64::Pmbsr;
using silicon::arm64::SpeUnitState;

namespace {

/// What of a unit is the guest's. The generator and what it has counted always are.
SpeUnitState of_guest(const SpeUnitState& unit, const SpeWorldSwitch::Place& place) {
  if (place.controls) return unit;
  SpeUnitState own;
  if (place.inverted_filter) own.pmsnevfr = unit.pmsnevfr;
  own.random = unit.random;
  own.statistics = unit.statistics;
  return own;
}

bool is_enabled(const SpeUnitState& unit) {
  return Pmblimitr{unit.pmblimitr}.get(Pmblimitr::kE) != 0;
}
bool interrupts(const SpeUnitState& unit) {
  return Pmbsr{unit.pmbsr}.get(Pmbsr::kS) != 0;
}

/// Whether this is where everything can be. `has_unit`: the guest, while it is entered; `host_has`:
/// the host, so that nobody stops it.
bool is_possible(const SpeState& state, bool has_unit, bool host_has) {
  const SpeWorldSwitch::Place& place = state.place;
  if (place.controls && !has_unit) return false;
  const bool has_inverted_filter = state.model.version >= silicon::arm64::kSpeV1p2;
  if (place.inverted_filter && !(has_unit && has_inverted_filter)) return false;
  if (place.controls && place.inverted_filter != has_inverted_filter) return false;
  if (place.host_stopped && (has_unit || !state.entered || host_has)) return false;
  if (has_unit && state.entered && !place.controls) return false;
  // PMBLIMITR_EL1 of the unit is the guest's, or 0.
  const std::uint64_t limit = place.buffer ? state.guest.pmblimitr : 0;
  if (state.unit.pmblimitr != limit) return false;
  if (!place.buffer) return !interrupts(state.unit);
  return place.controls && state.entered && !state.asserted && is_enabled(state.guest);
}

}  // namespace

SpeState Spe::save() const {
  SpeState state;
  state.has_feature = has_feature_;
  state.initialised = initialised_;
  state.irq = irq_.value_or(0);
  state.stop = stop_;
  state.host_has_unit = host_has_unit_;
  state.has_run = has_run_;
  state.entered = entered_;
  state.asserted = asserted_;
  state.exits = exits_;
  if (!has_feature_) return state;
  state.model = unit_->model();
  state.pmbidr = vm_.pmbidr();
  state.guest = guest_->save();
  state.place = switch_->place();
  state.switches = switch_->statistics();
  state.unit = of_guest(unit_->save(), state.place);
  return state;
}

Result<void> Spe::same_vcpu(const SpeState& state) const {
  const SpeState here = save();
  const ConfigField fields[] = {
      {"SPE of the vCPU:", state.has_feature, here.has_feature},
      {"PMSVer", state.model.version, here.model.version},
      {"PMSIDR_EL1", state.model.pmsidr, here.model.pmsidr},
      {"PMBIDR_EL1", state.pmbidr, here.pmbidr},
      {"SPE initialised:", state.initialised, here.initialised},
      {"the interrupt of SPE:", state.irq, here.irq},
  };
  return same_fields(fields);
}

Result<void> Spe::restore(const SpeState& state) {
  if (auto same = same_vcpu(state); !same) return same;
  if (state.stop > SpeStop::kExit || (!initialised_ && state.stop != SpeStop::kRunning)) {
    return fail("SPE state: stopped in a way that there is not");
  }
  if (has_feature_) {
    if (auto fits = restore_registers(state); !fits) return fits;
  }
  stop_ = state.stop;
  host_has_unit_ = state.host_has_unit;
  has_run_ = state.has_run;
  entered_ = state.entered;
  exits_ = state.exits;
  // The line is where it was.
  asserted_ = has_feature_ && state.asserted;
  if (asserted_) sink_.set_buffer_line(true);
  return {};
}

Result<void> Spe::restore_registers(const SpeState& state) {
  const bool host_has = vm_.config().exclusive && state.host_has_unit;
  const bool has_unit = initialised_ && state.stop == SpeStop::kRunning && !host_has;
  if (state.asserted != interrupts(state.guest) || (state.entered && !initialised_) ||
      !is_possible(state, has_unit, host_has)) {
    return fail("SPE state: registers where they cannot be");
  }
  const SpeUnitState before = guest_->save();
  if (auto fits = guest_->restore(state.guest); !fits) return fits;
  if (auto fits = switch_->restore(state.place, state.switches, state.unit, vm_.owner()); !fits) {
    ensure(guest_->restore(before).has_value());
    return fits;
  }
  return {};
}

}  // namespace vpmu::virt::arm64
