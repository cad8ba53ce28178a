// SPDX-License-Identifier: MIT
//
// What KVM offers this process: opens /dev/kvm, creates a VM without vCPUs, asks, and closes both.
// A step that fails leaves the later ones unasked: see how far `reached` got.
#pragma once

#include <array>
#include <cstdint>

#include "machine/kvm/kvm_capabilities.hpp"
#include "machine/kvm/kvm_system.hpp"

namespace vpmu::machine::kvm {

/// The only version there has been since Linux 2.6.22; KVM says to refuse any other.
inline constexpr int kApiVersion = 12;

/// The PMU that KVM's supported CPUID offers to guests, x86 only.
struct OfferedPmu {
  unsigned version = 0;  ///< Intel: CPUID.0AH:EAX[7:0]
  unsigned counters = 0;
  unsigned fixed_counters = 0;
  bool amd_core_extension = false;  ///< CPUID 80000001H:ECX[23]
  bool amd_perfmon_v2 = false;      ///< CPUID 80000022H:EAX[0]
  friend bool operator==(const OfferedPmu&, const OfferedPmu&) = default;
};

struct KvmProbes {
  /// The last step that was tried.
  enum class Step : std::uint8_t { kOpen, kVersion, kCreateVm, kAll };
  Step reached = Step::kOpen;
  int open_error = 0;
  int api_version = 0;  ///< or minus the errno
  int create_error = 0;
  /// What KVM_CHECK_EXTENSION gave (0: not offered), or minus the errno; as capabilities().
  std::array<int, kMostCapabilities> capabilities{};
  int cpuid_error = 0;
  OfferedPmu pmu;
};

KvmProbes probe_kvm(KvmSystem& system, HostArchitecture architecture);

}  // namespace vpmu::machine::kvm
