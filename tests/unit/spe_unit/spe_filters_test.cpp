// SPDX-License-Identifier: MIT
//
// Which samples become records.
#include <cstdint>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeFilters : public SpeUnitTest {
 protected:
  using Class = SpeOperationType::Class;
  // PMSFCR_EL1.
  static constexpr std::uint64_t kFe = 1, kFt = 2, kFl = 4, kFne = 8;
  static constexpr std::uint64_t kB = 0x1'0000, kLd = 0x2'0000, kSt = 0x4'0000;

  static constexpr SpeOperation kOther{.pc = {.address = 0x1000}};
  static constexpr SpeOperation kBranch{.pc = {.address = 0x1000}, .type = {Class::kBranch, 0}};
  static constexpr SpeOperation kNotTaken{
      .pc = {.address = 0x1000}, .type = {Class::kBranch, 1}, .events = kSpeRetired | kSpeNotTaken};
  static constexpr SpeOperation kLoad{
      .pc = {.address = 0x1000}, .type = {Class::kLoadStore, 0}, .loads = true};
  static constexpr SpeOperation kStore{
      .pc = {.address = 0x1000}, .type = {Class::kLoadStore, 1}, .stores = true};
  static constexpr SpeOperation kAtomic{
      .pc = {.address = 0x1000}, .type = {Class::kLoadStore, 0x06}, .loads = true, .stores = true};

  /// Leaves nothing in flight.
  static void complete(SpeUnit& unit) {
    put(unit, reg::PMSCR_EL1, 0);
    put(unit, reg::PMSCR_EL1, kBoth);
  }
  static SpeOperation with_events(std::uint64_t events) {
    SpeOperation operation = kLoad;
    operation.events = events;
    return operation;
  }
  static SpeOperation with_latency(std::uint32_t total) {
    SpeOperation operation = kLoad;
    operation.total_latency = total;
    return operation;
  }
};

TEST_F(SpeFilters, LetEverythingPassUntilEnabled) {
  SpeUnit unit = unit_of(kSpeModelV1p2);
  put(unit, reg::PMSEVFR_EL1, ~0ULL);
  put(unit, reg::PMSNEVFR_EL1, ~0ULL);
  put(unit, reg::PMSLATFR_EL1, ~0ULL);
  put(unit, reg::PMSFCR_EL1, kB | kLd | kSt);
  for (const SpeOperation& operation : {kOther, kBranch, kLoad, kStore, kAtomic}) {
    EXPECT_TRUE(records(unit, operation));
  }
}

TEST_F(SpeFilters, ByTypeIsAnyOfThoseEnabled) {
  SpeUnit unit = unit_of(kSpeModelV1);
  struct Row {
    const SpeOperation& operation;
    std::uint64_t types;
  };
  const Row kRows[] = {{kOther, 0},  {kBranch, kB}, {kNotTaken, kB},
                       {kLoad, kLd}, {kStore, kSt}, {kAtomic, kLd | kSt}};
  for (const std::uint64_t types : {kB, kLd, kSt, kB | kLd, kB | kSt, kLd | kSt, kB | kLd | kSt}) {
    put(unit, reg::PMSFCR_EL1, kFt | types);
    for (const Row& row : kRows) {
      EXPECT_EQ(records(unit, row.operation), (row.types & types) != 0) << std::hex << types;
    }
  }
}

TEST_F(SpeFilters, ByTypeWithoutAnyIsOff) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFt);
  EXPECT_TRUE(records(unit, kOther));
}

TEST_F(SpeFilters, ByEventsIsAllOfThem) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFe);
  put(unit, reg::PMSEVFR_EL1, kSpeL1dRefill | kSpeTlbWalk);
  EXPECT_FALSE(records(unit, with_events(kSpeRetired)));
  EXPECT_FALSE(records(unit, with_events(kSpeRetired | kSpeL1dRefill)));
  EXPECT_FALSE(records(unit, with_events(kSpeRetired | kSpeTlbWalk)));
  EXPECT_TRUE(records(unit, with_events(kSpeL1dRefill | kSpeTlbWalk)));
  EXPECT_TRUE(records(unit, with_events(0x7ff)));
}

TEST_F(SpeFilters, ByEventsWithoutAnyIsOff) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFe);
  put(unit, reg::PMSEVFR_EL1, kSpeLlcMiss | kSpeNotTaken);  // RES0, all of them
  EXPECT_TRUE(records(unit, with_events(kSpeRetired)));
}

TEST_F(SpeFilters, EveryFilterableEventFilters) {
  for (const SpeModel* model : kSpeModels) {
    SpeUnit unit = unit_of(*model);
    put(unit, reg::PMSFCR_EL1, kFe);
    for (unsigned bit = 0; bit < 64; ++bit) {
      const std::uint64_t event = std::uint64_t{1} << bit;
      put(unit, reg::PMSEVFR_EL1, event);
      if (get(unit, reg::PMSEVFR_EL1) == 0) continue;
      EXPECT_TRUE(records(unit, with_events(event))) << bit;
      EXPECT_FALSE(records(unit, with_events(~event))) << bit;
    }
  }
}

TEST_F(SpeFilters, InvertedByEventsIsNoneOfThem) {
  SpeUnit unit = unit_of(kSpeModelV1p2);
  put(unit, reg::PMSFCR_EL1, kFne);
  put(unit, reg::PMSNEVFR_EL1, kSpeL1dRefill | kSpeNotTaken);
  EXPECT_TRUE(records(unit, with_events(kSpeRetired)));
  EXPECT_FALSE(records(unit, with_events(kSpeRetired | kSpeL1dRefill)));
  EXPECT_FALSE(records(unit, kNotTaken));
  EXPECT_FALSE(records(unit, with_events(0x7ff)));
  put(unit, reg::PMSNEVFR_EL1, 0);
  EXPECT_TRUE(records(unit, with_events(0x7ff))) << "no event: off";
}

TEST_F(SpeFilters, EventsBothWantedAndUnwantedTurnTheInvertedFilterOff) {
  SpeUnit unit = unit_of(kSpeModelV1p2);
  put(unit, reg::PMSEVFR_EL1, kSpeL1dRefill);
  put(unit, reg::PMSNEVFR_EL1, kSpeL1dRefill | kSpeTlbWalk);
  put(unit, reg::PMSFCR_EL1, kFe | kFne);
  EXPECT_TRUE(records(unit, with_events(kSpeL1dRefill | kSpeTlbWalk)));
  EXPECT_FALSE(records(unit, with_events(kSpeRetired))) << "the other one is on";
  put(unit, reg::PMSFCR_EL1, kFne);
  EXPECT_FALSE(records(unit, with_events(kSpeTlbWalk))) << "nothing is wanted";
}

TEST_F(SpeFilters, ByLatencyKeepsTheMinimumItself) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFl);
  for (const std::uint32_t minimum : {1u, 100u, 0xfffu}) {
    put(unit, reg::PMSLATFR_EL1, minimum);
    EXPECT_FALSE(records(unit, with_latency(minimum - 1))) << minimum;
    complete(unit);
    EXPECT_TRUE(records(unit, with_latency(minimum))) << minimum;
    complete(unit);
    EXPECT_TRUE(records(unit, with_latency(0xffff'ffff))) << "saturates";
    complete(unit);
  }
  put(unit, reg::PMSLATFR_EL1, 0);
  EXPECT_TRUE(records(unit, with_latency(0))) << "no minimum: off";
}

TEST_F(SpeFilters, LatencyIsTheTotalOne) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFl);
  put(unit, reg::PMSLATFR_EL1, 50);
  SpeOperation operation = with_latency(49);
  operation.issue_latency = operation.translation_latency = 1000;
  EXPECT_FALSE(records(unit, operation));
}

TEST_F(SpeFilters, AllOfThemMustLetItPass) {
  SpeUnit unit = unit_of(kSpeModelV1p2);
  put(unit, reg::PMSEVFR_EL1, kSpeL1dRefill);
  put(unit, reg::PMSNEVFR_EL1, kSpeTlbWalk);
  put(unit, reg::PMSLATFR_EL1, 10);
  put(unit, reg::PMSFCR_EL1, kFe | kFt | kFl | kFne | kLd);
  SpeOperation wanted = with_events(kSpeRetired | kSpeL1dRefill);
  wanted.total_latency = 10;
  EXPECT_TRUE(records(unit, wanted));
  SpeOperation other = wanted;
  other.events = kSpeRetired;
  EXPECT_FALSE(records(unit, other));
  other = wanted;
  other.events |= kSpeTlbWalk;
  EXPECT_FALSE(records(unit, other));
  other = wanted;
  other.total_latency = 9;
  EXPECT_FALSE(records(unit, other));
  other = wanted;
  other.loads = false;
  EXPECT_FALSE(records(unit, other));
}

TEST_F(SpeFilters, SamplesThatDoNotPassAreFedButNoFiltrate) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFt | kLd);
  sample_next(unit, kStore);
  EXPECT_EQ(unit.statistics(), (SpeStatistics{.population = 257, .feed = 1}));
  sample_next(unit, kLoad);
  EXPECT_EQ(
      unit.statistics(),
      (SpeStatistics{.population = 514, .feed = 2, .filtrate = 1, .records = 1, .bytes = 64}));
}

TEST_F(SpeFilters, SampleThatDoesNotPassIsInFlightAllTheSame) {
  SpeUnit unit = unit_of(kSpeModelV1);
  put(unit, reg::PMSFCR_EL1, kFt | kB);
  sample_next(unit, with_latency(1000));
  EXPECT_FALSE(records(unit, kBranch));
  EXPECT_EQ(unit.statistics().collisions, 1u);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
