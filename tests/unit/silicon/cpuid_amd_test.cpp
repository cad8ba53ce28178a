// SPDX-License-Identifier: MIT
#include <bit>
#include <string>

#include <gtest/gtest.h>

#include "vpmu/silicon/x86/cpu_model.hpp"

namespace vpmu::silicon::x86 {
namespace {

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

class AmdCpuid : public testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] const CpuModel& model() const { return *find_cpu_model(GetParam()); }
  [[nodiscard]] CpuidResult get(std::uint32_t leaf, std::uint32_t subleaf = 0,
                                Topology topology = {}) const {
    return cpuid(model(), topology, leaf, subleaf);
  }
};
INSTANTIATE_TEST_SUITE_P(Models, AmdCpuid, testing::Values("zen2", "zen4"));

TEST_P(AmdCpuid, NamesTheVendorInBothRangesAndTheBrand) {
  for (const std::uint32_t leaf : {0u, 0x80000000u}) {
    const CpuidResult vendor = get(leaf);
    EXPECT_EQ(text({vendor.ebx, vendor.edx, vendor.ecx}), "AuthenticAMD");
  }
  std::string brand;
  for (const std::uint32_t leaf : {0x80000002u, 0x80000003u, 0x80000004u}) {
    const CpuidResult part = get(leaf);
    brand += text({part.eax, part.ebx, part.ecx, part.edx});
  }
  EXPECT_EQ(brand.find("AMD EPYC (vpmu " + GetParam() + ") @ "), 0u) << brand;
}

TEST_P(AmdCpuid, ExtendedFeaturesAreWhatTheInterpreterExecutesAndSixCounters) {
  const CpuidResult features = get(0x80000001);
  EXPECT_EQ(features.eax, get(1).eax) << "the signature again";
  // LAHF LZCNT TopologyExtensions PerfCtrExtCore.
  EXPECT_EQ(features.ecx, bits(0, 5, 22, 23));
  // SYSCALL NX 1-GiB pages RDTSCP long mode, and what leaf 1 has: FPU PSE TSC MSR PAE CX8 APIC MTRR
  // PGE CMOV PAT PSE36 MMX FXSR.
  EXPECT_EQ(features.edx,
            bits(11, 20, 26, 27, 29) | bits(0, 3, 4, 5, 6, 8, 9, 12, 13, 15, 16, 17, 23, 24));
  EXPECT_EQ(get(1).ecx & bits(15), 0u) << "no IA32_PERF_CAPABILITIES";
  EXPECT_EQ(get(7).ebx & bits(4, 11), 0u) << "no transactional memory";
}

TEST_P(AmdCpuid, LeavesAboveTheHighestAreZero) {
  for (const std::uint32_t leaf :
       {get(0).eax + 1, 0x16u, 0xffu, 0x100u, 0x40000001u, 0x40000100u, get(0x80000000).eax + 1,
        0x8000ffffu, 0x90000000u, 0xffffffffu}) {
    EXPECT_EQ(get(leaf), CpuidResult{}) << std::hex << leaf;
  }
}

TEST_P(AmdCpuid, IntelsPmuLeafIsZero) {
  EXPECT_EQ(get(0xa), CpuidResult{});
}

TEST_P(AmdCpuid, FirstLevelsAreInLeaf5AsInLeaf1D) {
  const CpuidResult l1 = get(0x80000005);
  EXPECT_EQ(l1.ecx >> 24, 32u) << "KiB of data cache";
  EXPECT_EQ(l1.ecx >> 16 & 0xff, model().memory.l1d.ways);
  EXPECT_EQ(l1.ecx & 0xff, 64u);
  EXPECT_EQ(l1.edx >> 24, 32u) << "KiB of instruction cache";
  // DTLB for 4-KiB pages: fully associative.
  EXPECT_EQ(l1.ebx >> 24, 0xffu);
  EXPECT_EQ(l1.ebx >> 16 & 0xff,
            static_cast<unsigned>(model().memory.dtlb.sets * model().memory.dtlb.ways));
}

TEST_P(AmdCpuid, SecondAndThirdLevelAreInLeaf6) {
  const MemoryHierarchy& memory = model().memory;
  const CpuidResult caches = get(0x80000006);
  EXPECT_EQ((caches.ecx >> 16) * 1024, memory.l2.sets * memory.l2.ways * 64);
  EXPECT_EQ(caches.ecx >> 12 & 0xf, 6u) << "8 to 15 ways";
  EXPECT_EQ((caches.edx >> 18) * 512 * 1024, memory.llc.sets * memory.llc.ways * 64);
  EXPECT_EQ(caches.edx >> 12 & 0xf, 8u) << "16 to 31 ways";
  EXPECT_EQ(caches.ebx >> 16 & 0xfff, static_cast<unsigned>(memory.stlb.sets * memory.stlb.ways));
}

TEST_P(AmdCpuid, TopologyIsOneThreadPerCoreInOnePackage) {
  const Topology topology{.apic_id = 5, .vcpus = 6};
  EXPECT_EQ(get(1, 0, topology).ebx, 5u << 24 | 6u << 16 | 8u << 8);
  EXPECT_NE(get(1, 0, topology).edx & bits(28), 0u) << "HTT";
  EXPECT_NE(get(0x80000001, 0, topology).ecx & bits(1), 0u) << "CmpLegacy";
  EXPECT_EQ(get(0x80000001).ecx & bits(1), 0u) << "not with one vCPU";
  // NC and ApicIdSize: six cores in ids of three bits.
  EXPECT_EQ(get(0x80000008, 0, topology).ecx, 3u << 12 | 5u);
  EXPECT_EQ(get(0x80000008, 0).ecx, 0u);
  EXPECT_EQ(get(0x8000001e, 0, topology), (CpuidResult{.eax = 5, .ebx = 5}));
  EXPECT_EQ(get(0xb, 1, topology), (CpuidResult{.eax = 3, .ebx = 6, .ecx = 2u << 8 | 1, .edx = 5}));
}

TEST_P(AmdCpuid, OnlyTheThirdLevelIsShared) {
  const Topology topology{.apic_id = 0, .vcpus = 6};
  for (std::uint32_t n = 0; n < 4; ++n) {
    const CpuidResult cache = get(0x8000001d, n, topology);
    EXPECT_EQ((cache.eax >> 14 & 0xfff) + 1, (cache.eax >> 5 & 7) == 3 ? 8u : 1u) << n;
  }
  EXPECT_EQ(get(0x8000001d, 4, topology), CpuidResult{});
}

TEST(AmdCpuidPerfMonV2, IsZen4sWithItsSixCounters) {
  const CpuModel& zen4 = *find_cpu_model("zen4");
  EXPECT_EQ(cpuid(zen4, {}, 0x80000000, 0).eax, 0x80000022u);
  EXPECT_EQ(cpuid(zen4, {}, 0x80000022, 0), (CpuidResult{.eax = 1, .ebx = 6}));
  EXPECT_EQ(cpuid(*find_cpu_model("zen2"), {}, 0x80000022, 0), CpuidResult{});
}

}  // namespace
}  // namespace vpmu::silicon::x86
