// SPDX-License-Identifier: MIT
#include "vpmu/silicon/x86/cpu_model.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

#include <gtest/gtest.h>

namespace vpmu::silicon::x86 {
namespace {

TEST(CpuModel, IsFoundByItsNameOnly) {
  for (const CpuModel* model : cpu_models()) EXPECT_EQ(find_cpu_model(model->name), model);
  EXPECT_NE(find_cpu_model("icelake-server"), nullptr);
  EXPECT_EQ(find_cpu_model(""), nullptr);
  EXPECT_EQ(find_cpu_model("icelake"), nullptr);
  EXPECT_EQ(find_cpu_model("Icelake-Server"), nullptr);
}

TEST(CpuModel, ModelsAreSortedByName) {
  EXPECT_TRUE(std::ranges::is_sorted(cpu_models(), {}, &CpuModel::name));
}

struct PmuFacts {
  const char* model;
  unsigned version, gp_counters, fixed_counters, arch_events;
  std::uint64_t perf_capabilities;
};
// Intel: CPUID.0AH of the CPUs with Hyper-Threading off; capabilities are FW_WRITE and the format
// of branch records. AMD: PPR 55803 and 55901, 2.1.17.
constexpr PmuFacts kPmuFacts[] = {
    {"haswell-server", 3, 8, 3, 7, 1 << 13 | 0x04},
    {"icelake-server", 5, 8, 4, 8, 1 << 13 | 0x05},
    {"sapphire-rapids", 5, 8, 4, 8, 1 << 13 | 0x3f},
    {"skylake-server", 4, 8, 3, 7, 1 << 13 | 0x05},
    {"zen2", 1, 6, 0, 0, 0},
    {"zen4", 2, 6, 0, 0, 0},
};

TEST(CpuModel, EveryModelHasThePmuOfItsManual) {
  ASSERT_EQ(cpu_models().size(), std::size(kPmuFacts));
  for (const PmuFacts& facts : kPmuFacts) {
    const CpuModel* model = find_cpu_model(facts.model);
    ASSERT_NE(model, nullptr) << facts.model;
    EXPECT_EQ(model->pmu.version, facts.version) << facts.model;
    EXPECT_EQ(model->pmu.gp_counters, facts.gp_counters) << facts.model;
    EXPECT_EQ(model->pmu.gp_width, 48) << facts.model;
    EXPECT_EQ(model->pmu.fixed_counters, facts.fixed_counters) << facts.model;
    EXPECT_EQ(model->pmu.fixed_width, facts.fixed_counters == 0 ? 0 : 48) << facts.model;
    EXPECT_EQ(model->pmu.arch_event_length, facts.arch_events) << facts.model;
    EXPECT_EQ(model->pmu.arch_events_unavailable, 0u) << facts.model;
    EXPECT_EQ(model->pmu.perf_capabilities, facts.perf_capabilities) << facts.model;
  }
}

struct LbrFacts {
  const char* model;
  LbrFormat format;
  unsigned depth, depths;
  bool call_stack, tsx;
  std::uint32_t from, to, info;
};
// Intel SDM vol. 3B 18.11, 18.12 and chapter 19.
constexpr LbrFacts kLbrFacts[] = {
    {"haswell-server", LbrFormat::kEipFlags2, 16, 0, true, false, 0x680, 0x6c0, 0},
    {"icelake-server", LbrFormat::kInfo, 32, 0, true, false, 0x680, 0x6c0, 0xdc0},
    {"sapphire-rapids", LbrFormat::kArchitectural, 32, 0xb, true, true, 0x1500, 0x1600, 0x1200},
    {"skylake-server", LbrFormat::kInfo, 32, 0, true, true, 0x680, 0x6c0, 0xdc0},
};

TEST(CpuModel, LastBranchRecordsAreThoseOfTheManual) {
  std::size_t with_records = 0;
  for (const CpuModel* model : cpu_models()) with_records += model->lbr.exists() ? 1 : 0;
  EXPECT_EQ(with_records, std::size(kLbrFacts));
  for (const LbrFacts& facts : kLbrFacts) {
    const LbrModel& lbr = find_cpu_model(facts.model)->lbr;
    EXPECT_EQ(lbr.format, facts.format) << facts.model;
    EXPECT_EQ(lbr.depth, facts.depth) << facts.model;
    EXPECT_EQ(lbr.depths, facts.depths) << facts.model;
    EXPECT_EQ(lbr.call_stack, facts.call_stack) << facts.model;
    EXPECT_EQ(lbr.tsx, facts.tsx) << facts.model;
    EXPECT_EQ(raw(lbr.from), facts.from) << facts.model;
    EXPECT_EQ(raw(lbr.to), facts.to) << facts.model;
    EXPECT_EQ(raw(lbr.info), facts.info) << facts.model;
  }
}

TEST(CpuModel, FormatOfBranchRecordsIsInPerfCapabilities) {
  for (const CpuModel* model : cpu_models()) {
    EXPECT_EQ(model->pmu.perf_capabilities & 0x3f, static_cast<std::uint64_t>(model->lbr.format))
        << model->name;
  }
}

TEST(CpuModel, CpuidEnumeratesArchitecturalBranchRecordsAndNoOthers) {
  for (const CpuModel* model : cpu_models()) {
    const bool architectural = model->lbr.architectural();
    EXPECT_EQ((cpuid(*model, {}, 7, 0).edx >> 19 & 1) != 0, architectural) << model->name;
    EXPECT_EQ(cpuid(*model, {}, 0, 0).eax >= 0x1c, architectural) << model->name;
  }
  // Depths of 8, 16 and 32, linear addresses; filters and call stack; flags, cycles and types.
  const CpuModel& model = *find_cpu_model("sapphire-rapids");
  EXPECT_EQ(cpuid(model, {}, 0x1c, 0), (CpuidResult{.eax = 1u << 31 | 0xb, .ebx = 7, .ecx = 7}));
  EXPECT_EQ(cpuid(model, {}, 0x1c, 1), CpuidResult{});
  EXPECT_EQ(cpuid(model, {}, 0x21, 0), CpuidResult{}) << "gives the highest leaf, not this one";
}

TEST(CpuModel, SignatureIsFamilyModelAndStepping) {
  struct Case {
    const char* model;
    std::uint32_t signature;  // as the CPUs have it
  };
  for (const Case expected : {Case{"haswell-server", 0x306f2}, Case{"icelake-server", 0x606a6},
                              Case{"sapphire-rapids", 0x806f8}, Case{"skylake-server", 0x50654},
                              Case{"zen2", 0x830f10}, Case{"zen4", 0xa10f11}}) {
    const CpuModel& model = *find_cpu_model(expected.model);
    const std::uint32_t eax = cpuid(model, {}, 1, 0).eax;
    EXPECT_EQ(eax, expected.signature) << model.name;
    // The extended family counts for family FH, the extended model for 6 and FH.
    EXPECT_EQ((eax >> 8 & 0xf) + (eax >> 20 & 0xff), model.family) << model.name;
    EXPECT_EQ((eax >> 4 & 0xf) | (eax >> 16 & 0xf) << 4, model.model) << model.name;
    EXPECT_EQ(eax & 0xf, model.stepping) << model.name;
  }
}

TEST(CpuModel, MemoryHierarchyIsPowersOfTwoSetsAndGrowsWithItsLevels) {
  const auto bytes = [](CacheGeometry cache) {
    return std::uint64_t{cache.sets} * cache.ways * 64;
  };
  for (const CpuModel* model : cpu_models()) {
    const MemoryHierarchy& memory = model->memory;
    for (const CacheGeometry cache : {memory.l1d, memory.l2, memory.llc}) {
      EXPECT_TRUE(std::has_single_bit(cache.sets)) << model->name;
      EXPECT_NE(cache.ways, 0u) << model->name;
    }
    for (const TlbGeometry tlb : {memory.dtlb, memory.stlb}) {
      EXPECT_TRUE(std::has_single_bit(tlb.sets)) << model->name;
      EXPECT_NE(tlb.ways, 0u) << model->name;
    }
    EXPECT_LT(bytes(memory.l1d), bytes(memory.l2)) << model->name;
    EXPECT_LT(bytes(memory.l2), bytes(memory.llc)) << model->name;
    EXPECT_LT(memory.dtlb.sets * memory.dtlb.ways, memory.stlb.sets * memory.stlb.ways)
        << model->name;
    EXPECT_GE(model->slots_per_cycle, 4) << model->name;
  }
}

TEST(CpuModel, CachesAreThoseThatCpuidEnumerates) {
  constexpr std::uint32_t kData = 1, kInstruction = 2;
  for (const CpuModel* model : cpu_models()) {
    const std::uint32_t leaf = model->vendor == Vendor::kIntel ? 0x4 : 0x8000001d;
    const CacheGeometry levels[] = {{}, model->memory.l1d, model->memory.l2, model->memory.llc};
    unsigned seen = 0;
    for (std::uint32_t n = 0;; ++n) {
      const CpuidResult cache = cpuid(*model, {}, leaf, n);
      const std::uint32_t type = cache.eax & 0x1f, level = cache.eax >> 5 & 7;
      if (type == 0) break;
      if (type == kInstruction) continue;
      EXPECT_EQ(type == kData, level == 1) << model->name;
      ASSERT_LT(level, std::size(levels)) << model->name;
      EXPECT_EQ(cache.ecx + 1, levels[level].sets) << model->name << " level " << level;
      EXPECT_EQ((cache.ebx >> 22) + 1, levels[level].ways) << model->name << " level " << level;
      ++seen;
    }
    EXPECT_EQ(seen, 3u) << model->name;
  }
}

TEST(CpuModel, ClocksAreWholeMultiplesOfTheCrystal) {
  for (const CpuModel* model : cpu_models()) {
    ASSERT_NE(model->crystal_hz, 0u) << model->name;
    EXPECT_EQ(model->hz % model->crystal_hz, 0u) << model->name;
  }
}

TEST(CpuModel, TransactionalMemoryIsInCpuidWhereTheModelHasItAndAlwaysAborts) {
  for (const CpuModel* model : cpu_models()) {
    const CpuidResult features = cpuid(*model, {}, 7, 0);
    EXPECT_EQ((features.ebx >> 4 & 1) != 0, model->tsx) << model->name << ": HLE";
    EXPECT_EQ((features.ebx >> 11 & 1) != 0, model->tsx) << model->name << ": RTM";
    EXPECT_EQ((features.edx >> 11 & 1) != 0, model->tsx) << model->name << ": RTM_ALWAYS_ABORT";
  }
  EXPECT_FALSE(find_cpu_model("haswell-server")->tsx);
  EXPECT_TRUE(find_cpu_model("skylake-server")->tsx);
  EXPECT_TRUE(find_cpu_model("sapphire-rapids")->tsx);
}

}  // namespace
}  // namespace vpmu::silicon::x86
