// SPDX-License-Identifier: MIT
//
// The KVM of an AArch64 host, as far as event filters go: one vCPU with a PMUv3.
#pragma once

#include <gtest/gtest.h>
#include <linux/kvm.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "machine/kvm/kvm_range_filter.hpp"

namespace vpmu::test {

class FakeArmKvm final : public machine::kvm::KvmSystem {
 public:
  static constexpr int kKvm = 10, kVm = 11, kVcpu = 12;
  static constexpr std::uint32_t kTarget = 5;

  int open_result = kKvm;
  int api = 12;
  int create_result = kVm;
  int vcpu_result = kVcpu;
  int target_result = 0;
  int init_result = 0;
  int has_filter = 0;
  std::map<int, int> extensions{{126, 1}};
  std::uint8_t pmu_version = 4;
  int set_error = 0;  ///< what every range gives, if there is one
  std::multiset<int> open_descriptors;
  std::vector<virt::arm64::FilterRange> ranges;  ///< that were taken

  int open() override { return opened(open_result); }
  int call(int descriptor, unsigned long request, std::uintptr_t argument) override {
    using namespace machine::kvm;
    switch (request) {
      case KVM_GET_API_VERSION: return api;
      case KVM_CHECK_EXTENSION: return extensions[static_cast<int>(argument)];
      case KVM_CREATE_VM: return opened(create_result);
      case kCreateVcpu: EXPECT_EQ(descriptor, kVm); return opened(vcpu_result);
      case kArmPreferredTarget:
        EXPECT_EQ(descriptor, kVm);
        reinterpret_cast<ArmVcpuInit*>(argument)->target = kTarget;
        return target_result;
      case kArmVcpuInit: return init(descriptor, *reinterpret_cast<const ArmVcpuInit*>(argument));
      case kHasDeviceAttribute: EXPECT_EQ(descriptor, kVcpu); return has_filter;
      case kSetDeviceAttribute:
        EXPECT_EQ(descriptor, kVcpu);
        return set(*reinterpret_cast<const DeviceAttribute*>(argument));
      default: ADD_FAILURE() << request; return -ENOTTY;
    }
  }
  void close(int descriptor) override { EXPECT_EQ(open_descriptors.erase(descriptor), 1u); }

 private:
  int opened(int result) {
    if (result >= 0) open_descriptors.insert(result);
    return result;
  }
  int init(int descriptor, const machine::kvm::ArmVcpuInit& init) {
    EXPECT_EQ(descriptor, kVcpu);
    EXPECT_EQ(init.target, kTarget);
    EXPECT_EQ(init.features[0], 1u << 3);  // KVM_ARM_VCPU_PMU_V3
    return init_result;
  }
  int set(const machine::kvm::DeviceAttribute& attribute) {
    EXPECT_EQ(attribute.group, 0u);      // KVM_ARM_VCPU_PMU_V3_CTRL
    EXPECT_EQ(attribute.attribute, 2u);  // KVM_ARM_VCPU_PMU_V3_FILTER
    machine::kvm::KvmEventRange range;
    std::memcpy(&range, reinterpret_cast<const void*>(attribute.address), sizeof range);
    if (set_error != 0) return -set_error;
    const unsigned numbers = pmu_version < 4 ? 0x400 : 0x1'0000;
    if (range.action > 1 || range.base_event + range.nevents > static_cast<int>(numbers)) {
      return -EINVAL;
    }
    ranges.push_back({range.base_event, range.nevents, range.action});
    return 0;
  }
};

}  // namespace vpmu::test
