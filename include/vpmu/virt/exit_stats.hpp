// SPDX-License-Identifier: MIT
//
// Exits: what of a guest's doing a hypervisor would have to intercept, by reason, with what each
// would cost on hardware. The cost is reported, never added to the guest's time.
//
// One per vCPU, on the thread that runs it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vpmu::virt {

enum class ExitReason : std::uint8_t {
  kMsrRead,
  kMsrWrite,
  kRdpmc,
  kCpuid,
  kPortIo,      ///< IN, OUT and their string forms, per access
  kMmio,        ///< device memory other than the local APIC
  kApicAccess,  ///< the local APIC, as MMIO or as x2APIC MSRs
  kCrAccess,    ///< writes of CR0 and CR4, CLTS, LMSW; CR3 and CR8 need no exit on current CPUs
  kDrAccess,    ///< MOV to and from debug registers
  kHlt,
  kPause,            ///< a PAUSE loop that was left
  kHypercall,        ///< VMCALL, VMMCALL; HVC, SMC, semihosting
  kException,        ///< intercepted exceptions, triple faults included
  kInterruptWindow,  ///< the guest became able to take a waiting interrupt
  kNmiWindow,
  kExternalInterrupt,  ///< a host timer or PMI while the guest ran
  kInit,
  kSipi,
  kOther,
  kSystemRegisterRead,  ///< MRS and MSR of what the hypervisor keeps: PMU, physical timer, SGIs
  kSystemRegisterWrite,
  kWait,  ///< WFI, WFE
};
inline constexpr std::size_t kExitReasonCount = 22;

/// The name that reports use, e.g. "msr-write". Never null.
const char* name(ExitReason reason);

/// What an exit costs from the guest's last to its next instruction, in core cycles: a round trip
/// through VM exit and entry of about 1200 cycles on current server cores, and the handler's usual
/// work on top (KVM handling it in the kernel; port I/O and MMIO go to user space).
constexpr std::uint64_t modelled_cost(ExitReason reason) {
  constexpr std::uint64_t kRoundTrip = 1200;
  constexpr std::uint64_t kUserSpace = 4000;
  switch (reason) {
    case ExitReason::kMsrRead: return kRoundTrip + 200;
    case ExitReason::kMsrWrite: return kRoundTrip + 400;
    case ExitReason::kRdpmc: return kRoundTrip + 200;
    case ExitReason::kCpuid: return kRoundTrip + 300;
    case ExitReason::kPortIo: return kRoundTrip + kUserSpace;
    case ExitReason::kMmio: return kRoundTrip + kUserSpace + 1000;  // decodes the instruction
    case ExitReason::kApicAccess: return kRoundTrip + 600;
    case ExitReason::kCrAccess: return kRoundTrip + 400;
    case ExitReason::kDrAccess: return kRoundTrip + 300;
    case ExitReason::kHlt: return kRoundTrip + 2000;  // the host schedules
    case ExitReason::kPause: return kRoundTrip + 500;
    case ExitReason::kHypercall: return kRoundTrip + 300;
    case ExitReason::kException: return kRoundTrip + 500;
    case ExitReason::kInterruptWindow: return kRoundTrip + 200;
    case ExitReason::kNmiWindow: return kRoundTrip + 200;
    case ExitReason::kExternalInterrupt: return kRoundTrip + 800;
    case ExitReason::kInit: return kRoundTrip + 1000;
    case ExitReason::kSipi: return kRoundTrip + 1000;
    case ExitReason::kOther: return kRoundTrip;
    case ExitReason::kSystemRegisterRead: return kRoundTrip + 200;
    case ExitReason::kSystemRegisterWrite: return kRoundTrip + 400;
    case ExitReason::kWait: return kRoundTrip + 2000;  // as kHlt
  }
  return kRoundTrip;
}

class ExitStats {
 public:
  void record(ExitReason reason) { ++counts_[static_cast<std::size_t>(reason)]; }

  [[nodiscard]] std::uint64_t count(ExitReason reason) const {
    return counts_[static_cast<std::size_t>(reason)];
  }
  /// In core cycles.
  [[nodiscard]] std::uint64_t cost(ExitReason reason) const {
    return count(reason) * modelled_cost(reason);
  }
  [[nodiscard]] std::uint64_t total_count() const;
  /// In core cycles.
  [[nodiscard]] std::uint64_t total_cost() const;

  using State = std::array<std::uint64_t, kExitReasonCount>;  ///< counts by reason
  [[nodiscard]] State save() const { return counts_; }
  void restore(const State& state) { counts_ = state; }

 private:
  State counts_{};
};

}  // namespace vpmu::virt
