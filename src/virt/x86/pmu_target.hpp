// SPDX-License-Identifier: MIT
//
// What an MSR number can be to a virtual PMU. Decoding is per vendor; the registers behind it are
// not, as far as they mean the same.
#pragma once

#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

enum class Pmu::Target::Kind : std::uint8_t {
  kNotMine,
  kAbsent,         ///< a performance monitoring MSR that this guest has not: #GP
  kLegacyIgnored,  ///< reads 0, writes vanish: what old guests probe without asking CPUID
  kCounter,        ///< IA32_PMCx: guest writes are 32 bits wide, sign-extended. AMD: any width
  kFullCounter,    ///< IA32_A_PMCx
  kFixedCounter,
  kEventSelect,
  kFixedControl,
  kGlobalStatus,
  kGlobalControl,
  kGlobalStatusReset,
  kGlobalStatusSet,
  kGlobalInuse,
  kPerfCapabilities,
  kMiscEnable,
  kDebugControl,
};

/// Place of `msr` in a run from `first`; beyond any run if it lies before it.
constexpr std::uint32_t offset(MsrIndex msr, MsrIndex first) {
  return raw(msr) - raw(first);
}

}  // namespace vpmu::virt::x86
