// SPDX-License-Identifier: MIT
#include "machine/kvm/kvm_probe.hpp"

#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace vpmu::machine::kvm {
namespace {

constexpr int kKvm = 10, kVm = 11;
/// KVM_GET_SUPPORTED_CPUID as C sees it: in C++ the header's struct, and with it the number, has
/// another size.
constexpr unsigned long kGetSupportedCpuid = 0xc008ae05;
struct CpuidHeader {
  std::uint32_t count, padding;
};

class FakeKvm final : public KvmSystem {
 public:
  int open_result = kKvm;
  int api = 12;
  int create_result = kVm;
  int cpuid_result = 0;
  std::map<int, int> extensions;
  std::vector<kvm_cpuid_entry2> cpuid;
  std::multiset<int> open_descriptors;

  int open() override {
    if (open_result >= 0) open_descriptors.insert(open_result);
    return open_result;
  }
  int call(int descriptor, unsigned long request, std::uintptr_t argument) override {
    EXPECT_EQ(descriptor, kKvm);
    switch (request) {
      case KVM_GET_API_VERSION: return api;
      case KVM_CREATE_VM:
        if (create_result >= 0) open_descriptors.insert(create_result);
        return create_result;
      case KVM_CHECK_EXTENSION: return extensions[static_cast<int>(argument)];
      case kGetSupportedCpuid: return supported_cpuid(reinterpret_cast<void*>(argument));
      default: ADD_FAILURE() << request; return -ENOTTY;
    }
  }
  void close(int descriptor) override { EXPECT_EQ(open_descriptors.erase(descriptor), 1u); }

 private:
  int supported_cpuid(void* argument) {
    if (cpuid_result < 0) return cpuid_result;
    auto* table = static_cast<CpuidHeader*>(argument);
    EXPECT_GE(table->count, cpuid.size());
    table->count = static_cast<std::uint32_t>(cpuid.size());
    if (!cpuid.empty())
      std::memcpy(table + 1, cpuid.data(), cpuid.size() * sizeof(kvm_cpuid_entry2));
    return 0;
  }
};

kvm_cpuid_entry2 leaf(std::uint32_t function) {
  kvm_cpuid_entry2 entry{};
  entry.function = function;
  return entry;
}

TEST(KvmProbe, StopsWhereTheDeviceDoesNotOpen) {
  for (const int error : {ENOENT, EACCES, EPERM, ENODEV, EMFILE}) {
    FakeKvm kvm;
    kvm.open_result = -error;
    const KvmProbes probes = probe_kvm(kvm, HostArchitecture::kX86);
    EXPECT_EQ(probes.reached, KvmProbes::Step::kOpen);
    EXPECT_EQ(probes.open_error, error);
  }
}

TEST(KvmProbe, AsksNothingOfAnUnknownVersion) {
  for (const int api : {11, 13, -ENOTTY}) {
    FakeKvm kvm;
    kvm.api = api;
    const KvmProbes probes = probe_kvm(kvm, HostArchitecture::kX86);
    EXPECT_EQ(probes.reached, KvmProbes::Step::kVersion);
    EXPECT_EQ(probes.api_version, api);
    EXPECT_TRUE(kvm.open_descriptors.empty());
  }
}

TEST(KvmProbe, StopsWhereNoVmCanBeCreated) {
  FakeKvm kvm;
  kvm.create_result = -EBUSY;
  const KvmProbes probes = probe_kvm(kvm, HostArchitecture::kX86);
  EXPECT_EQ(probes.reached, KvmProbes::Step::kCreateVm);
  EXPECT_EQ(probes.create_error, EBUSY);
  EXPECT_TRUE(kvm.open_descriptors.empty());
}

TEST(KvmProbe, AsksForEveryCapabilityByItsNumber) {
  for (const auto architecture : {HostArchitecture::kX86, HostArchitecture::kArm64}) {
    FakeKvm kvm;
    for (const Capability& capability : capabilities(architecture)) {
      kvm.extensions[capability.number] = capability.number + 1000;
    }
    const KvmProbes probes = probe_kvm(kvm, architecture);
    EXPECT_EQ(probes.reached, KvmProbes::Step::kAll);
    std::size_t i = 0;
    for (const Capability& capability : capabilities(architecture)) {
      EXPECT_EQ(probes.capabilities[i++], capability.number + 1000) << capability.symbol;
    }
    EXPECT_TRUE(kvm.open_descriptors.empty());
  }
}

TEST(KvmProbe, CapabilityNumbersAreTheKernels) {
  const std::map<std::string, int> kernel{
      {"KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP},
      {"KVM_CAP_GET_MSR_FEATURES", KVM_CAP_GET_MSR_FEATURES},
      {"KVM_CAP_X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR},
      {"KVM_CAP_X86_MSR_FILTER", KVM_CAP_X86_MSR_FILTER},
      {"KVM_CAP_PMU_EVENT_FILTER", KVM_CAP_PMU_EVENT_FILTER},
      {"KVM_CAP_ARM_PMU_V3", KVM_CAP_ARM_PMU_V3},
      // Newer than the oldest supported distribution's header.
      {"KVM_CAP_PMU_CAPABILITY", 212},
      {"KVM_CAP_PMU_EVENT_MASKED_EVENTS", 226},
  };
  std::size_t known = 0;
  for (const auto architecture : {HostArchitecture::kX86, HostArchitecture::kArm64}) {
    for (const Capability& capability : capabilities(architecture)) {
      EXPECT_EQ(capability.number, kernel.at(capability.symbol)) << capability.symbol;
      ++known;
    }
  }
  EXPECT_EQ(known, kernel.size());
}

TEST(KvmProbe, ReadsIntelsLeaf) {
  FakeKvm kvm;
  kvm.cpuid = {leaf(0), leaf(0xa)};
  kvm.cpuid[1].eax = 8 << 24 | 48 << 16 | 6 << 8 | 2;
  kvm.cpuid[1].edx = 48 << 5 | 3;
  const OfferedPmu pmu = probe_kvm(kvm, HostArchitecture::kX86).pmu;
  EXPECT_EQ(pmu, (OfferedPmu{.version = 2, .counters = 6, .fixed_counters = 3}));
}

TEST(KvmProbe, ReadsAmdsLeaves) {
  FakeKvm kvm;
  kvm.cpuid = {leaf(0x80000001), leaf(0x80000022)};
  kvm.cpuid[0].ecx = 1u << 23;
  EXPECT_EQ(probe_kvm(kvm, HostArchitecture::kX86).pmu, (OfferedPmu{.amd_core_extension = true}));
  kvm.cpuid[1].eax = 1;
  EXPECT_EQ(probe_kvm(kvm, HostArchitecture::kX86).pmu,
            (OfferedPmu{.amd_core_extension = true, .amd_perfmon_v2 = true}));
}

TEST(KvmProbe, KeepsTheErrorOfCpuid) {
  FakeKvm kvm;
  kvm.cpuid_result = -E2BIG;
  EXPECT_EQ(probe_kvm(kvm, HostArchitecture::kX86).cpuid_error, E2BIG);
}

TEST(KvmProbe, TheRealDeviceGivesAnAnswer) {
  LinuxKvmSystem kvm;
  const KvmProbes probes = probe_kvm(kvm, HostArchitecture::kX86);
  EXPECT_EQ(probes.open_error == 0, probes.reached != KvmProbes::Step::kOpen);
}

}  // namespace
}  // namespace vpmu::machine::kvm
