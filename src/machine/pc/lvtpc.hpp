// SPDX-License-Identifier: MIT
//
// Interrupts of a PMU, or of PV perf, into a vCPU's local APIC.
#pragma once

#include "machine/devices/local_apic.hpp"
#include "vpmu/virt/x86/pmi_sink.hpp"

namespace vpmu::machine {

inline virt::x86::PmiOutcome deliver_pmi(LocalApic& apic, virt::x86::LvtpcAfterPmi after,
                                         LocalApic::PmiModes modes) {
  switch (apic.deliver_pmi(after == virt::x86::LvtpcAfterPmi::kMask, modes)) {
    case PmiOutcome::kDelivered: return virt::x86::PmiOutcome::kDelivered;
    case PmiOutcome::kMasked: return virt::x86::PmiOutcome::kMasked;
    case PmiOutcome::kNotAccepted: break;
  }
  return virt::x86::PmiOutcome::kRejected;
}

}  // namespace vpmu::machine
