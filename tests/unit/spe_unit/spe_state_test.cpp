// SPDX-License-Identifier: MIT
//
// What moves with a guest.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "unit/spe_unit/spe_fixture.hpp"

namespace vpmu::silicon::arm64 {
namespace {

class SpeState : public SpeUnitTest {
 protected:
  /// In the middle of an interval with a sample in flight and random bytes used.
  SpeUnit in_the_middle(const SpeModel& model) {
    SpeUnit unit = unit_of(model, 7);
    put(unit, reg::PMSIRR_EL1, kRandomised);
    for (unsigned n = 0; n < 3; ++n) sample_next(unit, {.total_latency = 400});
    unit.pass(unit.until_sample() / 2);
    return unit;
  }
};

TEST_F(SpeState, GivesTheSameRecordsOnTheOtherSide) {
  for (const SpeModel* model : kSpeModels) {
    SpeUnit here = in_the_middle(*model);
    SpeMemory elsewhere;
    SpeUnit there{*model, 1000, elsewhere};
    ASSERT_TRUE(there.restore(here.save()).has_value());
    memory_.writes.clear();
    for (unsigned n = 0; n < 2000; ++n) {
      ASSERT_EQ(here.until_sample(), there.until_sample());
      if (here.until_sample() == SpeUnit::kNever) break;
      const SpeOperation operation{.pc = {.address = 4 * n}, .total_latency = n % 300};
      sample_next(here, operation);
      sample_next(there, operation);
      ASSERT_EQ(here.save(), there.save());
    }
    ASSERT_EQ(memory_.writes.size(), elsewhere.writes.size());
    for (std::size_t n = 0; n < memory_.writes.size(); ++n) {
      EXPECT_EQ(memory_.writes[n].address, elsewhere.writes[n].address);
      EXPECT_EQ(memory_.writes[n].bytes, elsewhere.writes[n].bytes);
    }
    EXPECT_TRUE(there.interrupt()) << "the buffer got full on both sides";
  }
}

TEST_F(SpeState, MovesWhileStopped) {
  SpeUnit here = in_the_middle(kSpeModelV1p2);
  put(here, reg::PMBSR_EL1, 0x3'0001);
  SpeUnit there{kSpeModelV1p2, 1000, memory_};
  ASSERT_TRUE(there.restore(here.save()).has_value());
  EXPECT_TRUE(there.interrupt());
  EXPECT_EQ(get(there, reg::PMBSR_EL1), 0x3'0001u);
  put(here, reg::PMBSR_EL1, 0);
  put(there, reg::PMBSR_EL1, 0);
  EXPECT_EQ(here.until_sample(), there.until_sample());
}

TEST_F(SpeState, ThatNoUnitCanHoldIsRefusedAndChangesNothing) {
  struct Row {
    const char* says;
    std::function<void(SpeUnitState&)> change;
  };
  const std::vector<Row> kRows{
      {"PMSCR_EL1 ", [](SpeUnitState& state) { state.pmscr |= 1 << 2; }},
      {"PMSCR_EL1 ", [](SpeUnitState& state) { state.pmscr |= 1 << 7; }},
      {"PMSNEVFR_EL1 ", [](SpeUnitState& state) { state.pmsnevfr = 2; }},
      {"PMSICR_EL1 ", [](SpeUnitState& state) { state.pmsicr |= std::uint64_t{1} << 40; }},
      {"PMSIRR_EL1 ", [](SpeUnitState& state) { state.pmsirr |= 2; }},
      {"PMSFCR_EL1 ", [](SpeUnitState& state) { state.pmsfcr |= 8; }},
      {"PMSEVFR_EL1 ", [](SpeUnitState& state) { state.pmsevfr |= 1 << 11; }},
      {"PMSLATFR_EL1 ", [](SpeUnitState& state) { state.pmslatfr |= 1 << 12; }},
      {"PMBLIMITR_EL1 ", [](SpeUnitState& state) { state.pmblimitr |= 4; }},
      {"PMBSR_EL1 ", [](SpeUnitState& state) { state.pmbsr |= 1 << 20; }},
      {"generator", [](SpeUnitState& state) { state.random = 0; }},
      {"in flight", [](SpeUnitState& state) { state.in_flight = std::uint64_t{1} << 32; }},
      {"in flight", [](SpeUnitState& state) { state.pmblimitr = 0; }},
      {"in flight", [](SpeUnitState& state) { state.pmscr = 0; }},
      {"in flight", [](SpeUnitState& state) { state.pmbsr = 1 << 17; }},
      {"counts", [](SpeUnitState& state) { state.statistics.population = 2; }},
      {"counts", [](SpeUnitState& state) { state.statistics.collisions = ~0ULL; }},
      {"counts", [](SpeUnitState& state) { state.statistics.feed = ~0ULL; }},
      {"counts", [](SpeUnitState& state) { state.statistics.filtrate = 1000; }},
      {"counts", [](SpeUnitState& state) { state.statistics.records = 1000; }},
      {"counts", [](SpeUnitState& state) { state.statistics.misprogrammed = 1000; }},
      {"counts", [](SpeUnitState& state) { state.statistics.lost = 1000; }},
  };
  const SpeUnitState good = in_the_middle(kSpeModelV1).save();
  ASSERT_NE(good.in_flight, 0u);
  SpeUnit unit = in_the_middle(kSpeModelV1);
  put(unit, reg::PMSIRR_EL1, 0x500);
  const SpeUnitState before = unit.save();
  for (const Row& row : kRows) {
    SpeUnitState state = good;
    row.change(state);
    const auto restored = unit.restore(state);
    ASSERT_FALSE(restored.has_value()) << row.says;
    EXPECT_NE(restored.error().message.find(row.says), std::string::npos)
        << restored.error().message;
    EXPECT_EQ(unit.save(), before);
  }
  EXPECT_TRUE(unit.restore(good).has_value());
  EXPECT_EQ(unit.save(), good);
}

TEST_F(SpeState, SeedsGiveDifferentRandomBytesAndTheSameSeedTheSame) {
  std::vector<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    SpeUnit unit{kSpeModelV1, seed, memory_};
    SpeUnit again{kSpeModelV1, seed, memory_};
    EXPECT_EQ(unit.save(), again.save());
    EXPECT_NE(unit.save().random, 0u);
    seen.push_back(unit.save().random);
  }
  SpeUnit all_ones{kSpeModelV1, ~std::uint64_t{0}, memory_};
  EXPECT_NE(all_ones.save().random, 0u);
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST_F(SpeState, ResetLeavesTheGeneratorWhereItIs) {
  SpeUnit unit = in_the_middle(kSpeModelV1);
  const SpeUnitState before = unit.save();
  unit.reset();
  EXPECT_EQ(unit.save().random, before.random);
  EXPECT_EQ(unit.save().in_flight, 0u);
  EXPECT_EQ(unit.statistics(), before.statistics);
}

}  // namespace
}  // namespace vpmu::silicon::arm64
