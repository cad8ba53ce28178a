// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/spe_switch.hpp"

#include "vpmu/base/ensure.hpp"

namespace vpmu::virt::arm64 {

using silicon::arm64::kSpeV1p2;
using silicon::arm64::Pmblimitr;
using silicon::arm64::Pmbsr;
using silicon::arm64::SpeOwner;
using silicon::arm64::SystemRegister;
namespace reg = silicon::arm64::reg;

namespace {

// PMSNEVFR_EL1 is last, and left out where there is none. PMSCR comes behind what it starts.
constexpr SystemRegister kHostOfVhe[] = {
    reg::PMSICR_EL1, reg::PMSIRR_EL1, reg::PMSFCR_EL1,    reg::PMSEVFR_EL1, reg::PMSLATFR_EL1,
    reg::PMBPTR_EL1, reg::PMBSR_EL1,  reg::PMBLIMITR_EL1, reg::PMSCR_EL2,
};
constexpr SystemRegister kHost[] = {
    reg::PMSICR_EL1,   reg::PMSIRR_EL1, reg::PMSFCR_EL1,   reg::PMSEVFR_EL1,
    reg::PMSLATFR_EL1, reg::PMBPTR_EL1, reg::PMBSR_EL1,    reg::PMBLIMITR_EL1,
    reg::PMSCR_EL1,    reg::PMSCR_EL2,  reg::PMSNEVFR_EL1,
};
constexpr SystemRegister kGuestLoads[] = {
    reg::PMSICR_EL1,   reg::PMSIRR_EL1, reg::PMSFCR_EL1, reg::PMSEVFR_EL1,
    reg::PMSLATFR_EL1, reg::PMSCR_EL1,  reg::PMSCR_EL2,  reg::PMSNEVFR_EL1,
};
constexpr SystemRegister kGuestSaves[] = {
    reg::PMSICR_EL1,   reg::PMSIRR_EL1, reg::PMSFCR_EL1,   reg::PMSEVFR_EL1,
    reg::PMSLATFR_EL1, reg::PMSCR_EL1,  reg::PMSNEVFR_EL1,
};
constexpr SystemRegister kInvertedFilter[] = {reg::PMSNEVFR_EL1};
constexpr SystemRegister kControl[] = {reg::PMSCR_EL1};

std::uint64_t value(const silicon::arm64::SpeUnit& unit, SystemRegister which) {
  return unit.read(which).value();
}

void set(silicon::arm64::SpeUnit& unit, SystemRegister which, std::uint64_t value) {
  ensure(unit.write(which, value).is_done());
}

bool buffer_is_enabled(const silicon::arm64::SpeUnit& unit) {
  return Pmblimitr{value(unit, reg::PMBLIMITR_EL1)}.get(Pmblimitr::kE) != 0;
}

}  // namespace

SpeSwitchPlan switch_plan(SpeFlavour flavour, std::uint8_t version) {
  using Registers = SpeSwitchPlan::Registers;
  const std::size_t left_out = flavour == SpeFlavour::kProtected && version >= kSpeV1p2 ? 0 : 1;
  const auto with = [&](Registers all) { return all.first(all.size() - left_out); };
  return {.host = flavour == SpeFlavour::kVhe ? Registers{kHostOfVhe} : with(kHost),
          .guest_loads = with(kGuestLoads),
          .guest_saves = with(kGuestSaves),
          .stays = flavour != SpeFlavour::kProtected};
}

SpeWorldSwitch::SpeWorldSwitch(SpeFlavour flavour, SpeUnit& unit, SpeUnit& guest, SpeUnit& host)
    : plan_{switch_plan(flavour, unit.model().version)},
      has_inverted_filter_{unit.model().version >= kSpeV1p2},
      unit_{unit},
      guest_{guest},
      host_{host} {}

void SpeWorldSwitch::move(SpeSwitchPlan::Registers registers, const SpeUnit& from, SpeUnit& to,
                          std::uint64_t& count) {
  for (const SystemRegister which : registers) {
    // PMSCR_EL2 is the owner of the unit, which whoever calls this sets.
    if (which != reg::PMSCR_EL2) set(to, which, value(from, which));
  }
  count += registers.size();
}

/// The buffer of whoever has the unit, who samples no more.
void SpeWorldSwitch::drain(std::uint64_t& count) {
  set(unit_, reg::PMBLIMITR_EL1, 0);
  ++count;
}

/// The host has a buffer enabled, whether or not the unit has its registers now.
bool SpeWorldSwitch::host_profiles() const {
  return buffer_is_enabled(place_.controls ? host_ : unit_);
}

void SpeWorldSwitch::load_controls(const SpeOwner& owner) {
  const std::uint64_t limit = value(unit_, reg::PMBLIMITR_EL1);
  if (host_profiles()) drain(statistics_.host_drains);
  move(plan_.host, unit_, host_, statistics_.host_saved);
  set(host_, reg::PMBLIMITR_EL1, limit);
  host_owner_ = unit_.owner();
  unit_.set_owner(owner);
  move(plan_.guest_loads, guest_, unit_, statistics_.guest_loaded);
  place_.controls = true;
  if (!plan_.stays) place_.inverted_filter = has_inverted_filter_;
}

void SpeWorldSwitch::give_back_controls() {
  move(plan_.guest_saves, unit_, guest_, statistics_.guest_saved);
  place_.controls = false;
  if (!plan_.stays) place_.inverted_filter = false;
  unit_.set_owner(host_owner_);
  move(plan_.host, host_, unit_, statistics_.host_loaded);
}

void SpeWorldSwitch::enter(bool buffer, const SpeOwner& owner) {
  ++statistics_.entries;
  const bool stayed = place_.controls;
  if (!stayed) load_controls(owner);
  if (has_inverted_filter_ && !place_.inverted_filter) {
    move(kInvertedFilter, unit_, host_, statistics_.host_saved);
    move(kInvertedFilter, guest_, unit_, statistics_.guest_loaded);
    place_.inverted_filter = true;
  }
  place_.buffer = buffer;
  if (stayed && !buffer) return;
  set(unit_, reg::PMBPTR_EL1, value(guest_, reg::PMBPTR_EL1));
  set(unit_, reg::PMBSR_EL1, 0);
  set(unit_, reg::PMBLIMITR_EL1, buffer ? value(guest_, reg::PMBLIMITR_EL1) : 0);
  statistics_.guest_loaded += kBufferLoads;
}

bool SpeWorldSwitch::exit() {
  ++statistics_.exits;
  if (!place_.buffer) {
    if (!plan_.stays || host_profiles()) give_back_controls();
    return false;
  }
  drain(statistics_.guest_drains);
  place_.buffer = false;
  set(guest_, reg::PMBPTR_EL1, value(unit_, reg::PMBPTR_EL1));
  const std::uint64_t syndrome = syndrome_with(value(unit_, reg::PMBSR_EL1));
  set(guest_, reg::PMBSR_EL1, syndrome);
  statistics_.guest_saved += kBufferSaves;
  give_back_controls();
  return Pmbsr{syndrome}.get(Pmbsr::kS) != 0;
}

std::uint64_t SpeWorldSwitch::syndrome_with(std::uint64_t units) const {
  const std::uint64_t before = value(guest_, reg::PMBSR_EL1);
  const std::uint64_t collisions = (before | units) & mask_of(Pmbsr::kColl);
  return (Pmbsr{units}.get(Pmbsr::kS) != 0 ? units : before) | collisions;
}

void SpeWorldSwitch::enter_without() {
  ++statistics_.entries;
  if (!host_profiles()) return;
  const std::uint64_t limit = value(unit_, reg::PMBLIMITR_EL1);
  drain(statistics_.host_drains);
  set(unit_, reg::PMBLIMITR_EL1, limit);
  move(kControl, unit_, host_, statistics_.host_saved);
  set(unit_, reg::PMSCR_EL1, 0);
  place_.host_stopped = true;
}

void SpeWorldSwitch::exit_without() {
  ++statistics_.exits;
  if (!place_.host_stopped) return;
  move(kControl, host_, unit_, statistics_.host_loaded);
  place_.host_stopped = false;
}

void SpeWorldSwitch::give_back() {
  if (plan_.stays && place_.inverted_filter) {
    move(kInvertedFilter, unit_, guest_, statistics_.guest_saved);
    move(kInvertedFilter, host_, unit_, statistics_.host_loaded);
    place_.inverted_filter = false;
  }
  if (place_.controls) give_back_controls();
}

bool SpeWorldSwitch::holds(SystemRegister which) const {
  switch (which) {
    case reg::PMBPTR_EL1:
    case reg::PMBSR_EL1: return place_.buffer;
    case reg::PMBLIMITR_EL1: return false;
    case reg::PMSNEVFR_EL1: return place_.inverted_filter;
    default: return place_.controls;
  }
}

Result<void> SpeWorldSwitch::restore(const Place& place, const SpeSwitchStatistics& statistics,
                                     const silicon::arm64::SpeUnitState& state,
                                     const SpeOwner& owner) {
  const silicon::arm64::SpeUnitState hosts = unit_.save();
  silicon::arm64::SpeUnitState moved = place.controls ? state : hosts;
  moved.random = state.random;
  moved.statistics = state.statistics;
  const bool stays_alone = place.inverted_filter && !place.controls;
  if (stays_alone && plan_.stays) moved.pmsnevfr = state.pmsnevfr;
  if (place.host_stopped) moved.pmscr = 0;
  if (auto fits = unit_.restore(moved); !fits) return fits;
  // Of the host's registers, what this unit has of them.
  if (auto fits = host_.restore(hosts); !fits) return fits;
  host_owner_ = unit_.owner();
  if (place.controls) unit_.set_owner(owner);
  place_ = place;
  statistics_ = statistics;
  if (stays_alone && !plan_.stays) {
    // Where it was saved, it could stay. Its bits are those that the unit's could be.
    set(guest_, reg::PMSNEVFR_EL1, state.pmsnevfr);
    place_.inverted_filter = false;
  }
  return {};
}

}  // namespace vpmu::virt::arm64
