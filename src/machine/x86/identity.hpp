// SPDX-License-Identifier: MIT
//
// Which CPU this is, where that shows in what its instructions do. Everything else that differs
// between CPU models is CPUID and MSRs, which the Environment answers.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::machine::x86 {

using silicon::x86::Vendor;

struct Identity {
  /// SYSENTER and SYSEXIT in long mode, SYSCALL and SYSRET outside 64-bit code.
  Vendor vendor = Vendor::kIntel;
  /// Family, model and stepping as in CPUID.01H:EAX: what RESET and INIT leave in EDX.
  std::uint32_t signature = 0;
  /// XBEGIN and its like exist; every transaction aborts at once.
  bool tsx = false;
};

inline Identity identity_of(const silicon::x86::CpuModel& model) {
  return {model.vendor, silicon::x86::cpuid(model, {}, 1, 0).eax, model.tsx};
}

}  // namespace vpmu::machine::x86
