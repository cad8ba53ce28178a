// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_range_filter.hpp"

#include <gtest/gtest.h>
#include <linux/kvm.h>

#include <cerrno>
#include <string>

#include "unit/kvm/fake_arm_kvm.hpp"

namespace vpmu::machine::kvm {
namespace {

using test::FakeArmKvm;
using virt::arm64::FilterRange;

TEST(KvmRangeFilter, RequestsAreTheKernelHeaders) {
  EXPECT_EQ(kCreateVcpu, KVM_CREATE_VCPU);
  EXPECT_EQ(kSetDeviceAttribute, KVM_SET_DEVICE_ATTR);
  EXPECT_EQ(kHasDeviceAttribute, KVM_HAS_DEVICE_ATTR);
  EXPECT_EQ(kCapArmPmuV3, static_cast<std::uintptr_t>(KVM_CAP_ARM_PMU_V3));
  EXPECT_EQ(sizeof(DeviceAttribute), sizeof(kvm_device_attr));
}

TEST(KvmRangeFilter, SetsRangesOnAVcpuOfItsOwnAndClosesIt) {
  FakeArmKvm system;
  {
    auto kvm = KvmRangeFilter::create(system);
    ASSERT_TRUE(kvm) << kvm.error().message;
    KvmRangeFilter moved = std::move(*kvm);
    EXPECT_EQ(system.open_descriptors.size(), 3u);
    const FilterRange range{.base_event = 0x10, .nevents = 3, .action = FilterRange::kDeny};
    EXPECT_EQ(moved.set(range), 0);
    ASSERT_EQ(system.ranges.size(), 1u);
    EXPECT_EQ(system.ranges[0], range);
  }
  EXPECT_TRUE(system.open_descriptors.empty());
}

TEST(KvmRangeFilter, GivesTheErrnoOfTheKernel) {
  FakeArmKvm system;
  auto kvm = KvmRangeFilter::create(system);
  ASSERT_TRUE(kvm);
  EXPECT_EQ(kvm->set({.base_event = 1, .nevents = 1, .action = 2}), EINVAL);
  system.set_error = EBUSY;
  EXPECT_EQ(kvm->set({.base_event = 1, .nevents = 1}), EBUSY);
}

TEST(KvmRangeFilter, FindsOutHowManyEventNumbersThereAre) {
  for (const std::uint8_t version : {std::uint8_t{1}, std::uint8_t{4}}) {
    FakeArmKvm system;
    system.pmu_version = version;
    auto kvm = KvmRangeFilter::create(system);
    ASSERT_TRUE(kvm);
    EXPECT_EQ(kvm->pmu_version(), version);
  }
}

TEST(KvmRangeFilter, SaysInOneLineWhatIsMissing) {
  const auto expect = [](auto&& breaks, const std::string& part) {
    FakeArmKvm system;
    breaks(system);
    const auto kvm = KvmRangeFilter::create(system);
    ASSERT_FALSE(kvm) << part;
    const std::string& message = kvm.error().message;
    EXPECT_NE(message.find(part), message.npos) << message;
    EXPECT_EQ(message.find('\n'), message.npos) << message;
    EXPECT_TRUE(system.open_descriptors.empty());
  };
  expect([](auto& system) { system.open_result = -ENOENT; }, "/dev/kvm does not open: No such");
  expect([](auto& system) { system.api = 11; }, "not KVM as Linux has it");
  expect([](auto& system) { system.extensions.clear(); }, "use an AArch64 host that has a PMU");
  expect([](auto& system) { system.create_result = -EBUSY; }, "creates no VM: Device");
  expect([](auto& system) { system.vcpu_result = -ENOMEM; }, "creates no vCPU: Cannot");
  expect([](auto& system) { system.target_result = -ENODEV; }, "names no CPU for guests: No such");
  expect([](auto& system) { system.init_result = -EINVAL; }, "makes no vCPU with a PMUv3: Inv");
  expect([](auto& system) { system.has_filter = -ENXIO; }, "KVM_ARM_VCPU_PMU_V3_FILTER");
}

}  // namespace
}  // namespace vpmu::machine::kvm
