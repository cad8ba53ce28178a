// SPDX-License-Identifier: MIT
//
// The kernel's answer to event filters of AArch64 guests (KVM_ARM_VCPU_PMU_V3_FILTER): a VM with
// one vCPU that has a PMUv3, which ranges are set on. Only the KVM of an AArch64 host has that.
#pragma once

#include <cstdint>

#include "machine/kvm/kvm_system.hpp"
#include "machine/kvm/kvm_vm.hpp"
#include "vpmu/base/result.hpp"
#include "vpmu/virt/arm64/event_filter.hpp"

namespace vpmu::machine::kvm {

/// KVM_CREATE_VCPU and KVM_ARM_PREFERRED_TARGET, of a VM's descriptor; KVM_ARM_VCPU_INIT,
/// KVM_SET_DEVICE_ATTR and KVM_HAS_DEVICE_ATTR, of a vCPU's.
inline constexpr unsigned long kCreateVcpu = 0xae41;
inline constexpr unsigned long kArmPreferredTarget = 0x8020'aeaf;
inline constexpr unsigned long kArmVcpuInit = 0x4020'aeae;
inline constexpr unsigned long kSetDeviceAttribute = 0x4018'aee1;
inline constexpr unsigned long kHasDeviceAttribute = 0x4018'aee3;
inline constexpr std::uintptr_t kCapArmPmuV3 = 126;

/// struct kvm_vcpu_init. Headers have it on AArch64 hosts only.
struct ArmVcpuInit {
  static constexpr std::uint32_t kPmuV3 = 1u << 3;
  std::uint32_t target = 0;
  std::uint32_t features[7] = {};
};
/// struct kvm_device_attr.
struct DeviceAttribute {
  static constexpr std::uint32_t kPmuV3Control = 0;
  static constexpr std::uint64_t kPmuV3Filter = 2;
  std::uint32_t flags = 0;
  std::uint32_t group = kPmuV3Control;
  std::uint64_t attribute = kPmuV3Filter;
  std::uint64_t address = 0;
};
/// struct kvm_pmu_event_filter.
struct KvmEventRange {
  std::uint16_t base_event = 0;
  std::uint16_t nevents = 0;
  std::uint8_t action = 0;
  std::uint8_t padding[3] = {};
};
static_assert(sizeof(ArmVcpuInit) == 32 && sizeof(DeviceAttribute) == 24 &&
              sizeof(KvmEventRange) == 8);

class KvmRangeFilter {
 public:
  /// Creates VM and vCPU; `system` stays there. An error is one line: what is missing, and what to
  /// do.
  static Result<KvmRangeFilter> create(KvmSystem& system);
  KvmRangeFilter(KvmRangeFilter&& other) noexcept;
  KvmRangeFilter& operator=(KvmRangeFilter&&) = delete;
  ~KvmRangeFilter();

  /// The errno with which the kernel refuses the range, or 0. Those before stay.
  int set(const virt::arm64::FilterRange& range);
  /// Of the host's PMU, as far as filters tell: 1 with 1024 event numbers (Armv8.0), 4 with 65536.
  /// Sets a range without events, which is the first one if there is none yet.
  std::uint8_t pmu_version();

 private:
  explicit KvmRangeFilter(KvmVm vm) : vm_{std::move(vm)} {}
  Result<void> create_vcpu();

  KvmVm vm_;
  int vcpu_ = -1;
};

}  // namespace vpmu::machine::kvm
