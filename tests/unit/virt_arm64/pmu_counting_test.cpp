// SPDX-License-Identifier: MIT
//
// What counts when, and which host event stands behind it.
#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using Arm64PmuCounting = PmuFixture;

constexpr std::uint64_t kCycleCookie = 31;

TEST_F(Arm64PmuCounting, NothingIsAskedOfTheHostBeforeACounterRuns) {
  write(reg::PMEVTYPER_EL0(0), kInstRetired);
  write(reg::PMCNTENSET_EL0, 1);
  EXPECT_EQ(perf.events.size(), 0u);
  write(reg::PMCR_EL0, kE);
  EXPECT_EQ(perf.open_events(), 1u);
}

TEST_F(Arm64PmuCounting, CounterRunsWhileBothEnablesAreSet) {
  start(1, kInstRetired);
  count(10);
  write(reg::PMCNTENCLR_EL0, 1 << 1);
  count(20);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 10u);
  write(reg::PMCNTENSET_EL0, 1 << 1);
  count(5);
  write(reg::PMCR_EL0, 0);
  count(40);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 15u);
  write(reg::PMCR_EL0, kE);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 16u);
  EXPECT_EQ(perf.events.size(), 1u) << "the host event was kept";
}

TEST_F(Arm64PmuCounting, HostEventIsTheEventNumberPinnedAtTheLevelsOfItsFilter) {
  struct Case {
    std::uint64_t type;
    bool exclude_user, exclude_kernel;
  };
  for (const Case each :
       {Case{kLoads, false, false}, Case{kLoads | kNotEl0, true, false},
        Case{kLoads | kNotEl1, false, true}, Case{kLoads | kNotEl0 | kNotEl1, true, true}}) {
    start(2, each.type);
    const hostperf::EventAttr& attr = perf.of(2)->attr;
    EXPECT_EQ(attr.config, kLoads);
    EXPECT_TRUE(attr.pinned);
    EXPECT_TRUE(attr.exclude_host);
    EXPECT_EQ(attr.exclude_user, each.exclude_user);
    EXPECT_EQ(attr.exclude_kernel, each.exclude_kernel);
    EXPECT_EQ(perf.of(2)->target.index, 3u);
    EXPECT_EQ(perf.open_events(), 1u);
  }
}

TEST_F(Arm64PmuCounting, CycleCounterCountsCpuCyclesByItsOwnFilter) {
  write(reg::PMCCFILTR_EL0, kNotEl0);
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMCR_EL0, kE);
  EXPECT_EQ(perf.of(kCycleCookie)->attr.config, 0x11u);
  EXPECT_TRUE(perf.of(kCycleCookie)->attr.exclude_user);
  count(1000);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 1000u);
}

TEST_F(Arm64PmuCounting, EventOfArmv8_0HasTenBits) {
  make(kArmv8_0);
  start(0, 0xfc08);
  EXPECT_EQ(perf.of(0)->attr.config, 0x08u);
}

TEST_F(Arm64PmuCounting, NewEventKeepsTheCount) {
  start(0, kInstRetired);
  count(10);
  write(reg::PMEVTYPER_EL0(0), kLoads);
  count(3);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 13u);
  EXPECT_EQ(perf.open_events(), 1u);
}

TEST_F(Arm64PmuCounting, ValueWrittenWhileRunningIsWhereItGoesOn) {
  start(0, kInstRetired);
  count(10);
  write(reg::PMEVCNTR_EL0(0), 0x1'0000'0003);
  count(4);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 7u) << "32 bits are written";
  write(reg::PMCR_EL0, kE | kP);
  count(2);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 2u);
}

TEST_F(Arm64PmuCounting, LongCountersCountBeyond32Bits) {
  make(kArmv8_5);
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'fffe);
  count(2);
  count(5);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 0x1'0000'0005u);
}

TEST_F(Arm64PmuCounting, UnusedHostEventGoesAfterATimeSlice) {
  start(0, kInstRetired);
  count(10);
  write(reg::PMCNTENCLR_EL0, 1);
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(perf.open_events(), 1u) << "it was used in the slice that ended";
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 10u);
}

TEST_F(Arm64PmuCounting, HostEventThatIsUsedStays) {
  start(0, kInstRetired);
  for (int slice = 0; slice < 3; ++slice) {
    pmu->scheduled_in();
    pmu->before_entry();
    count(1);
  }
  EXPECT_EQ(perf.events.size(), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 3u);
}

TEST_F(Arm64PmuCounting, SoftwareIncrementsCountWritesOfTheirBit) {
  start(0, 0x00);
  start(3, 0x00);
  start(4, kInstRetired);
  write(reg::PMSWINC_EL0, ~std::uint64_t{0});
  write(reg::PMSWINC_EL0, 1 << 3);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(3)), 2u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(4)), 0u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u) << "not enabled, though its event is 0";
  EXPECT_EQ(perf.open_events(), 1u) << "no host event for software increments";
}

TEST_F(Arm64PmuCounting, SoftwareIncrementsObeyEnableAndFilter) {
  write(reg::PMUSERENR_EL0, 2);
  start(0, kNotEl0);
  start(1, kNotEl1);
  write(reg::PMSWINC_EL0, 3);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u);
  write(reg::PMSWINC_EL0, 3, silicon::Privilege::kUser);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 1u);
  write(reg::PMCR_EL0, 0);
  write(reg::PMSWINC_EL0, 3);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 1u);
}

TEST_F(Arm64PmuCounting, DividerCountsEvery64thCycle) {
  make(with_aarch32(kArmv8_1));
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMCR_EL0, kE | kD);
  count(63);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 0u);
  count(1);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 1u);
  count(64 * 5 + 7);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 6u);
  EXPECT_EQ(pmu->value(kCycleCounter), 6u);
  write(reg::PMCR_EL0, kE | kD | kLc);
  count(10);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 16u) << "LC: the divider has no effect";
}

TEST_F(Arm64PmuCounting, ValueWithoutAccessIsTheSame) {
  start(0, kInstRetired);
  perf.count(12);
  EXPECT_EQ(pmu->value(event_counter(0)), 12u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 12u);
  EXPECT_EQ(pmu->event(event_counter(0)), kInstRetired);
  EXPECT_EQ(pmu->event(kCycleCounter), 0x11);
}

}  // namespace
}  // namespace vpmu::virt::arm64
