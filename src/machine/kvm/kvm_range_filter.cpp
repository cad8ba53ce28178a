// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_range_filter.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::machine::kvm {

namespace {
using virt::arm64::FilterRange;

std::uintptr_t address_of(const auto& object) {
  return reinterpret_cast<std::uintptr_t>(&object);
}

tl::unexpected<Error> no_vcpu(const char* what, int result) {
  return fail(std::string{what} + ": " + std::strerror(-result) +
              "; `vpmu doctor` says what to do");
}
}  // namespace

KvmRangeFilter::KvmRangeFilter(KvmRangeFilter&& other) noexcept
    : vm_{std::move(other.vm_)}, vcpu_{std::exchange(other.vcpu_, -1)} {}

KvmRangeFilter::~KvmRangeFilter() {
  if (vcpu_ >= 0) vm_.system().close(vcpu_);
}

Result<KvmRangeFilter> KvmRangeFilter::create(KvmSystem& system) {
  auto vm = KvmVm::open(system);
  if (!vm) return tl::unexpected(vm.error());
  if (!vm->has(kCapArmPmuV3)) {
    return fail(
        "this kernel's KVM has no PMUv3 for guests (KVM_CAP_ARM_PMU_V3); use an AArch64 host that "
        "has a PMU");
  }
  if (auto created = vm->create(); !created) return tl::unexpected(created.error());
  KvmRangeFilter filter{std::move(*vm)};
  if (auto created = filter.create_vcpu(); !created) return tl::unexpected(created.error());
  return filter;
}

Result<void> KvmRangeFilter::create_vcpu() {
  KvmSystem& system = vm_.system();
  vcpu_ = vm_.call(kCreateVcpu, 0);
  if (vcpu_ < 0) return no_vcpu("KVM creates no vCPU", vcpu_);
  ArmVcpuInit init;
  if (const int result = vm_.call(kArmPreferredTarget, address_of(init)); result < 0) {
    return no_vcpu("KVM names no CPU for guests", result);
  }
  init.features[0] |= ArmVcpuInit::kPmuV3;
  if (const int result = system.call(vcpu_, kArmVcpuInit, address_of(init)); result < 0) {
    return no_vcpu("KVM makes no vCPU with a PMUv3", result);
  }
  const DeviceAttribute filter;
  if (system.call(vcpu_, kHasDeviceAttribute, address_of(filter)) >= 0) return {};
  return fail(
      "this kernel's KVM has no event filters (KVM_ARM_VCPU_PMU_V3_FILTER); use Linux 5.10 or "
      "newer");
}

int KvmRangeFilter::set(const FilterRange& range) {
  const KvmEventRange written{
      .base_event = range.base_event, .nevents = range.nevents, .action = range.action};
  const DeviceAttribute filter{.address = address_of(written)};
  const int result = vm_.system().call(vcpu_, kSetDeviceAttribute, address_of(filter));
  return result < 0 ? -result : 0;
}

std::uint8_t KvmRangeFilter::pmu_version() {
  using namespace silicon::arm64;
  constexpr auto kBeyondArmv8 = static_cast<std::uint16_t>(event_numbers(1) + 1);
  const FilterRange nothing{.base_event = kBeyondArmv8, .nevents = 0, .action = FilterRange::kDeny};
  return set(nothing) == 0 ? kPmuV3p1 : 1;
}

}  // namespace vpmu::machine::kvm
