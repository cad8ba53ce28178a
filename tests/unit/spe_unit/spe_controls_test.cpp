// SPDX-License-Identifier: MIT
//
// When the unit profiles, and what EL1 and EL2 let into a record.
#include <cstdint>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeControls : public SpeUnitTest {
 protected:
  static constexpr std::uint64_t kCx = 0x08, kPa = 0x10, kTs = 0x20;
  static constexpr std::uint64_t kVirtualCount = 0x1111, kPhysicalCount = 0x2222, kOffset = 0x22;
  static constexpr SpeOperation kLoad{
      .pc = {.address = 0x1000},
      .type = {SpeOperationType::Class::kLoadStore, 0},
      .loads = true,
      .has_address = true,
      .virtual_address = 0x5000,
      .physical_address = 0x8000'5000,
      .source = SpeDataSource::kL2,
      .context_el1 = 0x111,
      .virtual_count = kVirtualCount,
      .physical_count = kPhysicalCount,
  };

  std::vector<std::uint8_t> record(SpeUnit& unit, const SpeOperation& operation) {
    put(unit, reg::PMBPTR_EL1, kBuffer);
    memory_.writes.clear();
    sample_next(unit, operation);
    EXPECT_EQ(memory_.writes.size(), 1u);
    return memory_.writes.empty() ? std::vector<std::uint8_t>{} : memory_.writes.front().bytes;
  }
  static std::vector<std::uint8_t> encoded(SpeOperation operation, SpeRecordOptions options) {
    options.data_source = true;
    options.align = 6;
    const SpeRecord record = encode(operation, options);
    return {record.bytes().begin(), record.bytes().end()};
  }
};

TEST_F(SpeControls, ProfilesWhereTheArchitecturesConditionsAllHold) {
  SpeUnit unit{kSpeModelV1, 1, memory_};
  for (unsigned setting = 0; setting < 16; ++setting) {
    const bool e0spe = setting & 1, e1spe = setting & 2, enabled = setting & 4, s = setting & 8;
    put(unit, reg::PMSCR_EL1, setting & 3);
    put(unit, reg::PMBLIMITR_EL1, kLimit | std::uint64_t{enabled});
    put(unit, reg::PMBSR_EL1, std::uint64_t{s} << 17);
    EXPECT_EQ(unit.profiles(0), enabled && !s && e0spe) << setting;
    EXPECT_EQ(unit.profiles(1), enabled && !s && e1spe) << setting;
    EXPECT_FALSE(unit.profiles(2)) << "EL1 owns the buffer";
    EXPECT_FALSE(unit.profiles(3));
  }
}

TEST_F(SpeControls, EachLevelIsProfiledOnItsOwn) {
  SpeUnit unit = unit_of(kSpeModelV1);
  SpeOperation at[] = {kLoad, kLoad};
  at[1].pc.level = 1;
  for (unsigned profiled = 0; profiled < 2; ++profiled) {
    put(unit, reg::PMSCR_EL1, 1 << profiled);
    EXPECT_TRUE(records(unit, at[profiled]));
    EXPECT_FALSE(records(unit, at[1 - profiled]));
  }
}

TEST_F(SpeControls, EndStandsWhereNoTimestampIsWanted) {
  SpeUnit unit = unit_of(kSpeModelV1);
  EXPECT_EQ(record(unit, kLoad), encoded(kLoad, {}));
}

TEST_F(SpeControls, TimestampsAreOfTheCounterThatBothLevelsAllow) {
  SpeUnit unit = unit_of(kSpeModelV1p2);
  constexpr std::uint64_t kOffsetCount = kPhysicalCount - kOffset;
  struct Row {
    std::uint64_t el2, el1, time;
  };
  constexpr Row kRows[] = {
      {0, 0, kVirtualCount}, {0, 1, kVirtualCount},  {0, 2, kVirtualCount}, {0, 3, kVirtualCount},
      {1, 0, kVirtualCount}, {1, 1, kPhysicalCount}, {1, 2, kVirtualCount}, {1, 3, kOffsetCount},
      {2, 0, kVirtualCount}, {2, 1, kVirtualCount},  {2, 2, kVirtualCount}, {2, 3, kVirtualCount},
      {3, 0, kVirtualCount}, {3, 1, kOffsetCount},   {3, 2, kVirtualCount}, {3, 3, kOffsetCount},
  };
  for (const Row& row : kRows) {
    unit.set_owner({.pmscr_el2 = row.el2 << 6, .cntpoff_el2 = kOffset});
    put(unit, reg::PMSCR_EL1, kBoth | kTs | row.el1 << 6);
    EXPECT_EQ(record(unit, kLoad), encoded(kLoad, {.timestamp = row.time}))
        << row.el2 << ' ' << row.el1;
  }
}

TEST_F(SpeControls, WithoutAnOffsetCounterTheGuestsChoiceIsTwofold) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.set_owner({.pmscr_el2 = 1 << 6, .cntpoff_el2 = kOffset});
  put(unit, reg::PMSCR_EL1, kBoth | kTs | 3 << 6);
  EXPECT_EQ(record(unit, kLoad), encoded(kLoad, {.timestamp = kPhysicalCount}));
}

TEST_F(SpeControls, Level2sTimestampBitIsIgnored) {
  SpeUnit unit = unit_of(kSpeModelV1);
  unit.set_owner({.pmscr_el2 = kTs});
  EXPECT_EQ(record(unit, kLoad), encoded(kLoad, {}));
}

TEST_F(SpeControls, PhysicalAddressesNeedBothLevels) {
  SpeUnit unit = unit_of(kSpeModelV1);
  for (unsigned setting = 0; setting < 4; ++setting) {
    const bool el1 = setting & 1, el2 = setting & 2;
    put(unit, reg::PMSCR_EL1, kBoth | (el1 ? kPa : 0));
    unit.set_owner({.pmscr_el2 = el2 ? kPa : 0});
    EXPECT_EQ(record(unit, kLoad), encoded(kLoad, {.physical_address = el1 && el2})) << setting;
  }
}

TEST_F(SpeControls, EachLevelHasItsContext) {
  SpeUnit unit = unit_of(kSpeModelV1);
  for (unsigned setting = 0; setting < 4; ++setting) {
    const bool el1 = setting & 1, el2 = setting & 2;
    put(unit, reg::PMSCR_EL1, kBoth | (el1 ? kCx : 0));
    unit.set_owner({.pmscr_el2 = el2 ? kCx : 0, .contextidr_el2 = 0x222});
    SpeRecordOptions options{.context_el1 = el1};
    if (el2) options.context_el2 = 0x222;
    EXPECT_EQ(record(unit, kLoad), encoded(kLoad, options)) << setting;
  }
}

TEST_F(SpeControls, DataSourcesAreThereIfTheIdentificationSaysSo) {
  SpeUnit unit = unit_of(without_lds(kSpeModelV1));
  SpeOperation without = kLoad;
  without.source.reset();
  EXPECT_EQ(record(unit, kLoad), encoded(without, {}));
}

TEST_F(SpeControls, CountersAreAsWideAsTheIdentificationSays) {
  SpeUnit unit = unit_of(with_wide_counters(kSpeModelV1));
  SpeOperation slow = kLoad;
  slow.total_latency = 0x12345;
  EXPECT_EQ(record(unit, slow), encoded(slow, {.counter_bits = 16}));
}

TEST_F(SpeControls, EventsThatTheVersionDoesNotHaveAreNotRecorded) {
  constexpr std::uint64_t kV1 = 0x7ff, kV1p1 = 0x6'0fff;
  SpeOperation everything = kLoad;
  everything.events = ~0ULL;
  for (const SpeModel* model : kSpeModels) {
    SpeUnit unit = unit_of(*model);
    SpeOperation recorded = everything;
    recorded.events = model == &kSpeModelV1 ? kV1 : kV1p1;
    EXPECT_EQ(record(unit, everything), encoded(recorded, {}));
  }
}

}  // namespace
}  // namespace vpmu::silicon::arm64
