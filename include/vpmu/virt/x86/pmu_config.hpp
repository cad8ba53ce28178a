// SPDX-License-Identifier: MIT
//
// What of a PMU a guest is offered. Fixed when its vCPUs are created; the reserved bits of every
// register, and which MSRs exist at all, follow from it.
#pragma once

#include <cstdint>

#include "vpmu/silicon/x86/cpu_model.hpp"
#include "vpmu/silicon/x86/lbr_model.hpp"
#include "vpmu/silicon/x86/pmu_registers.hpp"

namespace vpmu::virt::x86 {

struct PmuConfig {
  silicon::x86::Vendor vendor = silicon::x86::Vendor::kIntel;
  /// 0: no PMU. Intel: 1 to 5, as in CPUID.0AH. AMD: 1 (K7 and core extension), 2 (PerfMonV2).
  std::uint8_t version = 0;
  std::uint8_t gp_counters = 0;
  std::uint8_t gp_width = 0;  ///< bits
  std::uint8_t fixed_counters = 0;
  std::uint8_t fixed_width = 0;  ///< bits
  std::uint8_t arch_event_length = 0;
  std::uint32_t arch_events_unavailable = 0;
  /// The most that IA32_PERF_CAPABILITIES can be, and what it is unless the host says otherwise
  /// before the guest runs; the MSR exists if `has_perf_capabilities` (CPUID.01H:ECX.PDCM). With a
  /// format of LBRs the guest is offered them (lbr.hpp).
  std::uint64_t perf_capabilities = 0;
  bool has_perf_capabilities = false;
  /// AMD: CPUID 80000001H:ECX.PerfCtrExtCore; without it there are the four K7 counters.
  bool core_extension = false;
  /// CPUID.0AH:EDX[15]; versions 3 and 4 without it have AnyThread bits.
  bool any_thread_deprecated = true;
  /// IA32_DEBUGCTL.FREEZE_PERFMON_ON_PMI may be set: legacy freeze up to version 3, streamlined
  /// freeze from version 4 on. KVM's guests do not get it.
  bool freeze_on_pmi = false;
  bool tsx = false;  ///< IN_TX and IN_TXCP may be set
  /// AMD: Host-Only and Guest-Only bits have a meaning; otherwise they are dropped.
  bool host_guest_only = false;

  friend bool operator==(const PmuConfig&, const PmuConfig&) = default;
};

/// Intel versions 3 and 4: counters may be told to count for all threads of a core. A vCPU is a
/// core of its own, so the bits that say so have no effect.
constexpr bool has_any_thread(const PmuConfig& config) {
  return config.vendor == silicon::x86::Vendor::kIntel && !config.any_thread_deprecated &&
         (config.version == 3 || config.version == 4);
}

/// The format of last branch records that IA32_PERF_CAPABILITIES says; k32, which no guest is
/// offered: there are none.
constexpr silicon::x86::LbrFormat lbr_format(std::uint64_t perf_capabilities) {
  constexpr std::uint64_t kFormat = 0x3f;
  static_assert(kFormat == mask_of(silicon::x86::PerfCapabilities::kLbrFormat));
  return static_cast<silicon::x86::LbrFormat>(perf_capabilities & kFormat);
}

/// Whether there can be such a PMU: versions, counts and features agree. AMD has at least four
/// counters (guests have no way to learn of fewer).
bool possible(const PmuConfig& config);

/// The guest's share of a model's PMU, clipped as KVM clips it: version 2, 8 general-purpose (AMD:
/// 6) and 3 fixed counters, of the capabilities full-width writes only. None if the model has none,
/// or on AMD fewer than four counters.
PmuConfig guest_pmu(const silicon::x86::CpuModel& model);

/// A guest without PMU, on that vendor's CPU.
constexpr PmuConfig no_pmu(silicon::x86::Vendor vendor) {
  return {.vendor = vendor};
}

}  // namespace vpmu::virt::x86
