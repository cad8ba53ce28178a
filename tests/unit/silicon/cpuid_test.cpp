// SPDX-License-Identifier: MIT
#include <bit>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {
namespace {

class Cpuid : public testing::Test {
 protected:
  [[nodiscard]] CpuidResult get(std::uint32_t leaf, std::uint32_t subleaf = 0,
                                Topology topology = {}) const {
    return cpuid(*find_cpu_model("icelake-server"), topology, leaf, subleaf);
  }
};

template <class... Bits>
constexpr std::uint32_t bits(Bits... bit) {
  return (0u | ... | (1u << bit));
}

std::string text(std::initializer_list<std::uint32_t> registers) {
  std::string string;
  for (const std::uint32_t value : registers) {
    for (unsigned n = 0; n < 4; ++n) string.push_back(static_cast<char>(value >> (8 * n) & 0xff));
  }
  return string;
}

TEST_F(Cpuid, NamesVendorHypervisorAndBrand) {
  const CpuidResult vendor = get(0);
  EXPECT_EQ(text({vendor.ebx, vendor.edx, vendor.ecx}), "GenuineIntel");
  const CpuidResult hypervisor = get(0x40000000);
  EXPECT_EQ(hypervisor.eax, 0x40000000u);
  EXPECT_EQ(text({hypervisor.ebx, hypervisor.ecx, hypervisor.edx}), "vpmuvpmuvpmu");
  std::string brand;
  for (const std::uint32_t leaf : {0x80000002u, 0x80000003u, 0x80000004u}) {
    const CpuidResult part = get(leaf);
    brand += text({part.eax, part.ebx, part.ecx, part.edx});
  }
  EXPECT_EQ(brand.size(), 48u);
  EXPECT_STREQ(brand.c_str(), "Intel(R) Xeon(R) (vpmu icelake-server) @ 2.00GHz");
}

TEST_F(Cpuid, FamilyModelAndSteppingAreThoseOfTheModel) {
  const CpuModel& model = *find_cpu_model("icelake-server");
  const std::uint32_t eax = get(1).eax;
  // SDM vol. 2A figure 3-6: the extended model counts for family 6.
  EXPECT_EQ(eax & 0xf, model.stepping);
  EXPECT_EQ((eax >> 4 & 0xf) | (eax >> 16 & 0xf) << 4, model.model);
  EXPECT_EQ((eax >> 8 & 0xf) + (eax >> 20 & 0xff), model.family);
}

TEST_F(Cpuid, OffersWhatTheInterpreterExecutesAndNoMore) {
  // ECX: SSE3 PCLMUL SSSE3 CX16 PDCM SSE4.1 SSE4.2 x2APIC MOVBE POPCNT TSC-deadline AES XSAVE
  // hypervisor; EDX: FPU PSE TSC MSR PAE CX8 APIC SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE
  // SSE2.
  EXPECT_EQ(get(1).ecx, bits(0, 1, 9, 13, 15, 19, 20, 21, 22, 23, 24, 25, 26, 31));
  EXPECT_EQ(get(1).edx, bits(0, 3, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 19, 23, 24, 25, 26));
  // FSGSBASE BMI1 SMEP BMI2 ERMS ADX SMAP CLFLUSHOPT.
  EXPECT_EQ(get(7), (CpuidResult{.ebx = bits(0, 3, 7, 8, 9, 19, 20, 23)}));
  // LAHF LZCNT; SYSCALL NX 1-GiB pages RDTSCP long mode.
  EXPECT_EQ(get(0x80000001), (CpuidResult{.ecx = bits(0, 5), .edx = bits(11, 20, 26, 27, 29)}));
  EXPECT_EQ(get(0x80000007), (CpuidResult{.edx = bits(8)}));  // invariant TSC
  EXPECT_EQ(get(7, 1), CpuidResult{});
}

TEST_F(Cpuid, XsaveKnowsX87AndSseOnly) {
  EXPECT_EQ(get(0xd, 0), (CpuidResult{.eax = 3, .ebx = 576, .ecx = 576, .edx = 0}));
  EXPECT_EQ(get(0xd, 1), CpuidResult{});
  EXPECT_EQ(get(0xd, 2), CpuidResult{});
}

TEST_F(Cpuid, FrequenciesGiveTheModelsClock) {
  const CpuModel& model = *find_cpu_model("icelake-server");
  const CpuidResult tsc = get(0x15);
  ASSERT_NE(tsc.eax, 0u);
  EXPECT_EQ(std::uint64_t{tsc.ecx} * tsc.ebx / tsc.eax, model.hz);
  EXPECT_EQ(tsc.ecx, model.crystal_hz);
  const CpuidResult processor = get(0x16);
  EXPECT_EQ(std::uint64_t{processor.eax} * 1'000'000, model.hz);
  EXPECT_EQ(processor.eax, processor.ebx);
}

TEST_F(Cpuid, AddressesAre46PhysicalAnd48LinearBits) {
  EXPECT_EQ(get(0x80000008).eax & 0xffff, 0x302eu);
}

TEST_F(Cpuid, LeavesAboveTheHighestGiveTheHighestBasicLeaf) {
  const CpuidResult highest = get(get(0).eax);
  EXPECT_EQ(get(0).eax, 0x16u);
  for (const std::uint32_t leaf : {0x17u, 0x23u, 0xffu, 0x100u, 0x1000u, 0x40000001u, 0x40000100u,
                                   0x80000009u, 0x8000ffffu, 0x90000000u, 0xffffffffu}) {
    EXPECT_EQ(get(leaf), highest) << std::hex << leaf;
  }
}

TEST_F(Cpuid, LeavesBelowTheHighestThatDoNotExistAreZero) {
  for (const std::uint32_t leaf :
       {0x3u, 0x5u, 0x8u, 0x9u, 0xcu, 0xeu, 0xfu, 0x10u, 0x12u, 0x14u, 0x80000005u}) {
    EXPECT_EQ(get(leaf), CpuidResult{}) << std::hex << leaf;
  }
}

TEST_F(Cpuid, Leaf0AIsTheSiliconsPmu) {
  const CpuidResult pmu = get(0xa);
  EXPECT_EQ(pmu.eax, 8u << 24 | 48u << 16 | 8u << 8 | 5u);
  EXPECT_EQ(pmu.ebx, 0u) << "all eight events are available";
  EXPECT_EQ(pmu.ecx, 0xfu);
  EXPECT_EQ(pmu.edx, 1u << 15 | 48u << 5 | 4u);
}

TEST_F(Cpuid, ApicIdIsInLeaves1And0B) {
  const Topology topology{.apic_id = 5, .vcpus = 6};
  EXPECT_EQ(get(1, 0, topology).ebx, 5u << 24 | 6u << 16 | 8u << 8);
  EXPECT_NE(get(1, 0, topology).edx & bits(28), 0u);  // HTT
  EXPECT_EQ(get(1, 0, {.apic_id = 0, .vcpus = 1}).edx & bits(28), 0u);

  // SMT level: one thread. Core level: six, in ids of three bits.
  EXPECT_EQ(get(0xb, 0, topology), (CpuidResult{.eax = 0, .ebx = 1, .ecx = 1u << 8, .edx = 5}));
  EXPECT_EQ(get(0xb, 1, topology), (CpuidResult{.eax = 3, .ebx = 6, .ecx = 2u << 8 | 1, .edx = 5}));
  EXPECT_EQ(get(0xb, 2, topology), (CpuidResult{.eax = 0, .ebx = 0, .ecx = 2, .edx = 5}));
}

TEST_F(Cpuid, CoreBitsOfLeaf0BHoldEveryApicId) {
  struct Case {
    std::uint32_t vcpus, bits;
  };
  for (const Case expected : {Case{1, 0}, Case{2, 1}, Case{3, 2}, Case{4, 2}, Case{5, 3},
                              Case{8, 3}, Case{9, 4}, Case{64, 6}}) {
    EXPECT_EQ(get(0xb, 1, {.apic_id = 0, .vcpus = expected.vcpus}).eax, expected.bits)
        << expected.vcpus;
  }
}

TEST_F(Cpuid, Leaf4EnumeratesCaches) {
  struct Case {
    std::uint32_t type, level, kib;
    bool shared;
  };
  const Case caches[] = {
      {1, 1, 48, false}, {2, 1, 32, false}, {3, 2, 1280, false}, {3, 3, 49152, true}};
  const Topology topology{.apic_id = 0, .vcpus = 6};
  for (std::uint32_t n = 0; n < std::size(caches); ++n) {
    const CpuidResult cache = get(4, n, topology);
    EXPECT_EQ(cache.eax & 0x1f, caches[n].type);
    EXPECT_EQ(cache.eax >> 5 & 0x7, caches[n].level);
    const std::uint32_t ways = (cache.ebx >> 22) + 1;
    const std::uint32_t partitions = (cache.ebx >> 12 & 0x3ff) + 1;
    const std::uint32_t line = (cache.ebx & 0xfff) + 1;
    EXPECT_EQ(ways * partitions * line * (cache.ecx + 1) / 1024, caches[n].kib);
    EXPECT_EQ((cache.eax >> 14 & 0xfff) + 1, caches[n].shared ? 8u : 1u);
    EXPECT_EQ((cache.eax >> 26) + 1, 8u);
  }
  EXPECT_EQ(get(4, 4, topology), CpuidResult{});
}

}  // namespace
}  // namespace vpmu::silicon::x86
