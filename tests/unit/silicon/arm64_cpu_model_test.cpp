// SPDX-License-Identifier: MIT
#include "vpmu/silicon/arm64/cpu_model.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace vpmu::silicon::arm64 {
namespace {

TEST(Arm64CpuModel, IsFoundByItsNameOnly) {
  for (const CpuModel* model : cpu_models()) EXPECT_EQ(find_cpu_model(model->name), model);
  EXPECT_NE(find_cpu_model("neoverse-n1"), nullptr);
  EXPECT_EQ(find_cpu_model(""), nullptr);
  EXPECT_EQ(find_cpu_model("Neoverse-N1"), nullptr);
  EXPECT_EQ(find_cpu_model("neoverse"), nullptr);
}

TEST(Arm64CpuModel, ModelsAreSortedByName) {
  EXPECT_TRUE(std::ranges::is_sorted(cpu_models(), {}, &CpuModel::name));
}

struct Facts {
  const char* model;
  Implementer implementer;
  std::uint32_t part;
  unsigned pmu_version, event_counters, slots, spe_version;
};
// Of real cores, their technical reference manuals: MIDR_EL1, ID_AA64DFR0_EL1, PMCR_EL0.
constexpr Facts kFacts[] = {
    {"armv8.5", Implementer::kSoftware, 0x850, 6, 8, 4, kSpeV1p2},
    {"cortex-a72", Implementer::kArm, 0xd08, 1, 6, 3, 0},
    {"neoverse-n1", Implementer::kArm, 0xd0c, 4, 6, 4, kSpeV1},
    {"neoverse-v1", Implementer::kArm, 0xd40, 5, 6, 8, kSpeV1p1},
};

TEST(Arm64CpuModel, EveryModelIsTheCoreOfItsManual) {
  constexpr std::uint32_t kCpuidScheme = 0xf;
  ASSERT_EQ(cpu_models().size(), std::size(kFacts));
  for (const Facts& facts : kFacts) {
    const CpuModel* model = find_cpu_model(facts.model);
    ASSERT_NE(model, nullptr) << facts.model;
    EXPECT_EQ(model->implementer(), facts.implementer) << facts.model;
    EXPECT_EQ(model->midr >> 16 & 0xf, kCpuidScheme) << facts.model;
    EXPECT_EQ(model->midr >> 4 & 0xfff, facts.part) << facts.model;
    EXPECT_EQ(model->pmu.version, facts.pmu_version) << facts.model;
    EXPECT_EQ(model->pmu.event_counters, facts.event_counters) << facts.model;
    EXPECT_EQ(model->slots_per_cycle, facts.slots) << facts.model;
    EXPECT_EQ(model->spe.version, facts.spe_version) << facts.model;
  }
}

TEST(Arm64CpuModel, StatisticalProfilingIsAUnitThatThereCanBe) {
  for (const CpuModel* model : cpu_models()) {
    if (model->spe.version == 0) {
      EXPECT_EQ(model->spe, SpeModel{}) << model->name;
      continue;
    }
    EXPECT_TRUE(is_valid(model->spe)) << model->name;
    const Pmsidr id{model->spe.pmsidr};
    EXPECT_EQ(id.raw & mask_of(Pmsidr::kFe, Pmsidr::kFt, Pmsidr::kFl), 7u) << model->name;
    EXPECT_EQ(id.get(Pmsidr::kMaxSize), 6u) << model->name << ": 64 bytes";
    EXPECT_EQ(id.get(Pmsidr::kInterval), 4u) << model->name << ": 1024";
  }
}

TEST(Arm64CpuModel, CoreClockIsAMultipleOfTheGenericCounters) {
  for (const CpuModel* model : cpu_models()) {
    ASSERT_NE(model->counter_hz, 0u) << model->name;
    EXPECT_EQ(model->hz % model->counter_hz, 0u) << model->name;
    EXPECT_GT(model->hz, model->counter_hz) << model->name;
  }
}

TEST(Arm64CpuModel, MemoryHierarchyIsPowersOfTwoSetsAndGrowsWithItsLevels) {
  for (const CpuModel* model : cpu_models()) {
    const MemoryHierarchy& memory = model->memory;
    for (const CacheGeometry cache : {memory.l1d, memory.l2, memory.llc}) {
      EXPECT_TRUE(std::has_single_bit(cache.sets)) << model->name;
      EXPECT_NE(cache.ways, 0u) << model->name;
    }
    EXPECT_LT(memory.l1d.sets * memory.l1d.ways, memory.l2.sets * memory.l2.ways) << model->name;
    EXPECT_LT(memory.l2.sets * memory.l2.ways, memory.llc.sets * memory.llc.ways) << model->name;
    EXPECT_TRUE(std::has_single_bit(memory.dtlb.sets)) << model->name;
    EXPECT_TRUE(std::has_single_bit(memory.stlb.sets)) << model->name;
    EXPECT_LT(memory.dtlb.sets * memory.dtlb.ways, memory.stlb.sets * memory.stlb.ways)
        << model->name;
  }
}

TEST(Arm64CpuModel, EventsAreSortedNamedOnceAndSourced) {
  for (const CpuModel* model : cpu_models()) {
    EXPECT_TRUE(std::ranges::is_sorted(model->events, {}, &EventRow::number)) << model->name;
    std::set<std::uint16_t> numbers;
    std::set<std::string_view> names;
    for (const EventRow& row : model->events) {
      EXPECT_TRUE(numbers.insert(row.number).second) << model->name << ' ' << row.name;
      EXPECT_TRUE(names.insert(row.name).second) << model->name << ' ' << row.name;
      EXPECT_FALSE(std::string_view{row.source}.empty()) << model->name << ' ' << row.name;
    }
  }
}

TEST(Arm64CpuModel, EventsFitTheEventSpaceAndLeaveThePmusOwnAlone) {
  for (const CpuModel* model : cpu_models()) {
    const unsigned events = model->pmu.version == 1 ? 0x400 : 0x10000;
    for (const EventRow& row : model->events) {
      EXPECT_LT(row.number, events) << model->name << ' ' << row.name;
    }
    EXPECT_EQ(find_event(model->events, kSwIncr), nullptr) << model->name;
    EXPECT_EQ(find_event(model->events, kChain), nullptr) << model->name;
  }
}

TEST(Arm64CpuModel, EveryModelCountsWhatPmuV3Requires) {
  for (const CpuModel* model : cpu_models()) {
    ASSERT_NE(find_event(model->events, kCpuCycles), nullptr) << model->name;
    EXPECT_EQ(find_event(model->events, kCpuCycles)->raw, RawEvent::kCycles) << model->name;
    EXPECT_NE(find_event(model->events, "INST_RETIRED"), nullptr) << model->name;
    EXPECT_NE(find_event(model->events, "L1D_CACHE_REFILL"), nullptr) << model->name;
    EXPECT_NE(find_event(model->events, "L1D_CACHE"), nullptr) << model->name;
    EXPECT_NE(find_event(model->events, "BR_MIS_PRED"), nullptr) << model->name;
    EXPECT_NE(find_event(model->events, "BR_PRED"), nullptr) << model->name;
  }
}

TEST(Arm64CpuModel, VersionsOfThePmuHaveNames) {
  for (const CpuModel* model : cpu_models()) {
    EXPECT_NE(pmu_version_name(model->pmu.version), nullptr) << model->name;
  }
  EXPECT_STREQ(pmu_version_name(6), "PMUv3.5");
  EXPECT_STREQ(pmu_version_name(7), "PMUv3.7");
  EXPECT_EQ(pmu_version_name(0), nullptr) << "not implemented";
  EXPECT_EQ(pmu_version_name(0xf), nullptr) << "implementation defined";
}

}  // namespace
}  // namespace vpmu::silicon::arm64
