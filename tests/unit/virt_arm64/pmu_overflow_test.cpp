// SPDX-License-Identifier: MIT
//
// Where counters overflow, and the interrupt that comes of it.
#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using Arm64PmuOverflow = PmuFixture;
using silicon::arm64::SystemRegister;

struct Width {
  const char* name;
  PmuConfig config;
  std::uint64_t control;
  bool cycle_counter;
  std::uint64_t before;  ///< one count before the overflow
  std::uint64_t after;   ///< and what it is then
};
constexpr std::uint64_t kLcBit = 1 << 6, kLpBit = 1 << 7;
constexpr Width kWidths[] = {
    {"event counter", kArmv8_1, 0, false, 0xffff'ffff, 0},
    {"event counter of 8.0", kArmv8_0, 0, false, 0xffff'ffff, 0},
    {"long, LP = 0", kArmv8_5, 0, false, 0x7'ffff'ffff, 0x8'0000'0000},
    {"long, LP = 1", kArmv8_5, kLpBit, false, ~std::uint64_t{0}, 0},
    {"cycle counter", kArmv8_1, 0, true, ~std::uint64_t{0}, 0},
    {"cycle counter, LC = 0", with_aarch32(kArmv8_1), 0, true, 0x3'ffff'ffff, 0x4'0000'0000},
    {"cycle counter, LC = 1", with_aarch32(kArmv8_1), kLcBit, true, ~std::uint64_t{0}, 0},
};

TEST_F(Arm64PmuOverflow, IsWhereTheWidthEnds) {
  for (const Width& each : kWidths) {
    make(each.config);
    const SystemRegister counter = each.cycle_counter ? reg::PMCCNTR_EL0 : reg::PMEVCNTR_EL0(4);
    const std::uint64_t bit = each.cycle_counter ? kCycles : 1 << 4;
    write(reg::PMEVTYPER_EL0(4), kInstRetired);
    write(reg::PMCNTENSET_EL0, bit);
    write(reg::PMCR_EL0, each.control | kE);
    write(counter, each.before - 2);
    count(2);
    EXPECT_EQ(read(reg::PMOVSSET_EL0), 0u) << each.name;
    EXPECT_EQ(read(counter), each.before) << each.name;
    count(1);
    EXPECT_EQ(read(reg::PMOVSSET_EL0), bit) << each.name;
    EXPECT_EQ(read(counter), each.after) << each.name;
  }
}

TEST_F(Arm64PmuOverflow, IsNotWhereTheLowerHalfEndsOfAnAll64BitOne) {
  make(kArmv8_5);
  write(reg::PMCR_EL0, kLp);
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 0u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 0x1'0000'0000u);
}

TEST_F(Arm64PmuOverflow, FreshCounterHasAWholeTurn) {
  start(0, kInstRetired);
  EXPECT_EQ(perf.of(0)->attr.period, 0x1'0000'0000u);
  write(reg::PMCNTENSET_EL0, kCycles);
  EXPECT_EQ(perf.of(31)->attr.period, 0u) << "2^64 counts never come";
  write(reg::PMCCNTR_EL0, 5);
  EXPECT_EQ(perf.of(31)->attr.period, 0u) << "nor do as many as perf has no period for";
  write(reg::PMCCNTR_EL0, std::uint64_t{1} << 63 | 1);
  EXPECT_EQ(perf.of(31)->attr.period, (std::uint64_t{1} << 63) - 1);
}

TEST_F(Arm64PmuOverflow, NextOneIsAWholeTurnAway) {
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'fff0);
  EXPECT_EQ(perf.of(0)->attr.period, 0x10u);
  count(0x10);
  EXPECT_EQ(perf.of(0)->attr.period, 0x1'0000'0000u);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(Arm64PmuOverflow, ChangeOfLpMovesIt) {
  make(kArmv8_5);
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff'ffff'ff00);
  EXPECT_EQ(perf.of(0)->attr.period, 0x100u);
  write(reg::PMEVCNTR_EL0(0), 0xffff'fff0'ffff'ff00);
  EXPECT_EQ(perf.of(0)->attr.period, 0x100u);
  write(reg::PMCR_EL0, kE | kLp);
  EXPECT_EQ(perf.of(0)->attr.period, 0xf'0000'0100u);
}

TEST_F(Arm64PmuOverflow, DividedCyclesOverflowAfter64TimesAsMany) {
  make(with_aarch32(kArmv8_1));
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMCR_EL0, kE | kD);
  count(10);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 0u);
  write(reg::PMCCNTR_EL0, 0xffff'fffe);
  EXPECT_EQ(perf.of(31)->attr.period, 128u) << "a write begins anew";
  count(10);
  write(reg::PMCNTENCLR_EL0, kCycles);
  write(reg::PMCNTENSET_EL0, kCycles);
  EXPECT_EQ(perf.of(31)->attr.period, 118u);
  count(118);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 0x1'0000'0000u);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), kCycles);
}

TEST_F(Arm64PmuOverflow, InterruptIsALevel) {
  start(0, kInstRetired);
  write(reg::PMINTENSET_EL1, 1);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  EXPECT_FALSE(sink.line);
  perf.count(1);
  EXPECT_EQ(sink.requests, 1) << "before the next instruction";
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  EXPECT_TRUE(sink.line);
  EXPECT_EQ(pmu->statistics().interrupts, 1u);
  write(reg::PMINTENCLR_EL1, 1);
  EXPECT_FALSE(sink.line);
  write(reg::PMINTENSET_EL1, 1);
  EXPECT_TRUE(sink.line);
  write(reg::PMCR_EL0, 0);
  EXPECT_FALSE(sink.line);
  write(reg::PMCR_EL0, kE);
  EXPECT_TRUE(sink.line);
  write(reg::PMCNTENCLR_EL0, 1);
  EXPECT_TRUE(sink.line) << "the overflow has happened all the same";
  write(reg::PMOVSCLR_EL0, 1);
  EXPECT_FALSE(sink.line);
  EXPECT_EQ(sink.changes, 6);
}

TEST_F(Arm64PmuOverflow, InterruptNeedsTheFlagAndTheEnableOfOneCounter) {
  write(reg::PMCR_EL0, kE);
  write(reg::PMINTENSET_EL1, 1 << 1);
  write(reg::PMOVSSET_EL0, 1 << 2);
  EXPECT_FALSE(sink.line);
  write(reg::PMOVSSET_EL0, 1 << 1);
  EXPECT_TRUE(sink.line) << "flags that software sets interrupt too";
  EXPECT_TRUE(pmu->overflow_line());
}

TEST_F(Arm64PmuOverflow, FlagIsReadBeforeTheEntryThatFollows) {
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  perf.count(1);
  EXPECT_EQ(read(reg::PMOVSCLR_EL0), 1u);
  EXPECT_EQ(try_write(reg::PMOVSCLR_EL0, 1), Access::done());
  EXPECT_EQ(read(reg::PMOVSCLR_EL0), 0u);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(Arm64PmuOverflow, OfACounterThatIsStoppedInTheSameAccessIsNone) {
  start(0, kInstRetired);
  EXPECT_EQ(
      pmu->write_register(reg::PMCNTENCLR_EL0, 1, silicon::Privilege::kKernel, Initiator::kGuest),
      Access::done());
  perf.of(0)->handler->on_overflow(hostperf::EventId{0}, 0);
  pmu->before_entry();
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 0u);
}

TEST_F(Arm64PmuOverflow, OfSoftwareIncrements) {
  start(1, 0x00);
  write(reg::PMINTENSET_EL1, 1 << 1);
  write(reg::PMEVCNTR_EL0(1), 0xffff'fffe);
  write(reg::PMSWINC_EL0, 1 << 1);
  EXPECT_FALSE(sink.line);
  write(reg::PMSWINC_EL0, 1 << 1);
  EXPECT_TRUE(sink.line);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u);
}

}  // namespace
}  // namespace vpmu::virt::arm64
