// SPDX-License-Identifier: MIT
//
// Virtual SPE: reading and writing registers, and who may.
#include "vpmu/base/ensure.hpp"
#include "vpmu/virt/arm64/spe.hpp"

namespace vpmu::virt::arm64 {

using silicon::Privilege;
using silicon::arm64::Pmbidr;
namespace reg = silicon::arm64::reg;

/// What decides whether a guest's access traps.
enum class Spe::Class : std::uint8_t {
  kNotMine,
  kControls,        ///< MDCR_EL2.TPMS
  kBuffer,          ///< MDCR_EL2.E2PB
  kIdentification,  ///< only a fine-grained trap: where its value is not the hardware's
};

Spe::Class Spe::class_of(SystemRegister which) {
  switch (which) {
    case reg::PMSCR_EL1:
    case reg::PMSNEVFR_EL1:
    case reg::PMSICR_EL1:
    case reg::PMSIRR_EL1:
    case reg::PMSFCR_EL1:
    case reg::PMSEVFR_EL1:
    case reg::PMSLATFR_EL1:
    case reg::PMSIDR_EL1:
    case reg::PMSCR_EL2: return Class::kControls;
    case reg::PMBLIMITR_EL1:
    case reg::PMBPTR_EL1:
    case reg::PMBSR_EL1: return Class::kBuffer;
    case reg::PMBIDR_EL1: return Class::kIdentification;
    default: return Class::kNotMine;
  }
}

/// Done: there is such a register, for who asks. PMSCR_EL2 is not EL1's.
Access Spe::permission(SystemRegister which, Privilege privilege, Initiator initiator) const {
  if (class_of(which) == Class::kNotMine) return Access::not_mine();
  const bool at_el0 = initiator == Initiator::kGuest && privilege == Privilege::kUser;
  if (!has_feature_ || at_el0 || !guest_->read(which).is_done()) return Access::fault();
  return Access::done();
}

SpeMdcrEl2 Spe::mdcr_el2() const {
  const bool is_el2s = !has_feature_ || host_has_it();
  SpeMdcrEl2 traps;
  traps.set(SpeMdcrEl2::kE2pb, is_el2s ? SpeMdcrEl2::kEl2 : SpeMdcrEl2::kEl1AndTraps);
  traps.set(SpeMdcrEl2::kTpms, is_el2s || stop_ != SpeStop::kRunning ? 1 : 0);
  return traps;
}

bool Spe::traps(Class which) const {
  switch (which) {
    case Class::kNotMine: return false;
    case Class::kControls: return mdcr_el2().get(SpeMdcrEl2::kTpms) != 0;
    case Class::kBuffer: return mdcr_el2().get(SpeMdcrEl2::kE2pb) != SpeMdcrEl2::kEl1;
    case Class::kIdentification: break;
  }
  return vm_.config().exclusive || vm_.max_buffer_bytes() != 0;
}

/// A guest's access that traps is an exit.
void Spe::count_access(Class which) {
  if (!traps(which)) {
    ++exits_.direct;
    return;
  }
  switch (which) {
    case Class::kNotMine: return;
    case Class::kControls: ++exits_.control_traps; break;
    case Class::kBuffer: ++exits_.buffer_traps; break;
    case Class::kIdentification: ++exits_.identification_traps; break;
  }
  exit();
}

/// As the guest finds it.
std::uint64_t Spe::guest_value(SystemRegister which) const {
  if (which == reg::PMBIDR_EL1) {
    Pmbidr shown{vm_.pmbidr()};
    shown.set(Pmbidr::kP, host_has_it() ? 1 : 0);
    return shown.raw;
  }
  if (!switch_->holds(which)) return guest_->read(which).value();
  const std::uint64_t units = unit_->read(which).value();
  return which == reg::PMBSR_EL1 ? switch_->syndrome_with(units) : units;
}

Access Spe::read_register(SystemRegister which, Privilege privilege, Initiator initiator) {
  if (const Access permitted = permission(which, privilege, initiator); !permitted.is_done()) {
    return permitted;
  }
  if (initiator == Initiator::kGuest) count_access(class_of(which));
  return Access::done(guest_value(which));
}

Access Spe::write_register(SystemRegister which, std::uint64_t value, Privilege privilege,
                           Initiator initiator) {
  if (const Access permitted = permission(which, privilege, initiator); !permitted.is_done()) {
    return permitted;
  }
  const bool host = initiator == Initiator::kHost;
  if (which == reg::PMSIDR_EL1 || which == reg::PMBIDR_EL1) {
    return host && value == guest_value(which) ? Access::done() : Access::fault();
  }
  if (host) {
    exit();
  } else {
    count_access(class_of(which));
  }
  SpeUnit& holder = switch_->holds(which) ? *unit_ : *guest_;
  ensure(holder.write(which, value).is_done());
  update_line();
  return Access::done();
}

}  // namespace vpmu::virt::arm64
