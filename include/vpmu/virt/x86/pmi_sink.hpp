// SPDX-License-Identifier: MIT
//
// Where a virtual PMU's interrupts go: the vCPU's local APIC, through its LVT performance counter
// entry (LVTPC, Intel SDM vol. 3A 10.5.1).
#pragma once

#include <cstdint>

namespace vpmu::virt::x86 {

/// What LVTPC does once it has accepted a PMI. Intel sets the mask bit, AMD does not.
enum class LvtpcAfterPmi : std::uint8_t { kMask, kKeep };

enum class PmiOutcome : std::uint8_t {
  kDelivered,  ///< accepted: IRR bit set, or NMI pending
  kMasked,     ///< LVTPC is masked or the APIC is off; the PMI is gone
  kRejected,   ///< a delivery mode or vector that cannot be delivered; LVTPC stays as it is
};

class PmiSink {
 public:
  /// Delivers one PMI as LVTPC says. LVTPC's mask bit follows `after` only if it is accepted.
  /// Called from before_entry() only.
  virtual PmiOutcome raise_pmi(LvtpcAfterPmi after) = 0;

  /// The PMU has work for before_entry(), and it was not a guest's access that made it: a counter
  /// overflowed, or what the guest may count has changed. The vCPU must not execute another guest
  /// instruction before it is called. May be called in signal context by host perf back ends that
  /// work so, and on any thread that calls Pmu::gate_changed().
  virtual void request_entry_work() = 0;

 protected:
  ~PmiSink() = default;
};

}  // namespace vpmu::virt::x86
