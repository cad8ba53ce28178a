// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_capabilities.hpp"

namespace vpmu::machine::kvm {

namespace {
constexpr auto kX86 = HostArchitecture::kX86;
constexpr auto kArm64 = HostArchitecture::kArm64;

constexpr Capability kX86Capabilities[] = {
    {"irqchip", "KVM_CAP_IRQCHIP", 0, "2.6.20", "local APICs in the kernel", kX86},
    {"msr-features", "KVM_CAP_GET_MSR_FEATURES", 153, "4.17",
     "reading what IA32_PERF_CAPABILITIES may be", kX86},
    {"user-space-msr", "KVM_CAP_X86_USER_SPACE_MSR", 188, "5.10",
     "PMU MSRs answered by vpmu instead of the kernel", kX86},
    {"msr-filter", "KVM_CAP_X86_MSR_FILTER", 189, "5.10", "choosing which MSRs come to vpmu", kX86},
    {"pmu-capability", "KVM_CAP_PMU_CAPABILITY", 212, "5.18",
     "switching KVM's own vPMU off for one guest", kX86},
    {"pmu-event-filter", "KVM_CAP_PMU_EVENT_FILTER", 173, "5.3", "limiting a guest to some events",
     kX86},
    {"pmu-masked-events", "KVM_CAP_PMU_EVENT_MASKED_EVENTS", 226, "6.3",
     "event filters with unit mask patterns", kX86},
};
constexpr Capability kArm64Capabilities[] = {
    {"arm-pmu-v3", "KVM_CAP_ARM_PMU_V3", 126, "4.7", "a PMUv3 for guests", kArm64},
};
static_assert(std::size(kX86Capabilities) <= kMostCapabilities);
static_assert(std::size(kArm64Capabilities) <= kMostCapabilities);
}  // namespace

std::span<const Capability> capabilities(HostArchitecture architecture) {
  switch (architecture) {
    case HostArchitecture::kX86: return kX86Capabilities;
    case HostArchitecture::kArm64: return kArm64Capabilities;
    case HostArchitecture::kOther: return {};
  }
  return {};
}

}  // namespace vpmu::machine::kvm
