// SPDX-License-Identifier: MIT
//
// CHAIN: an odd counter counts the overflows of the even one before it.
#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

class Arm64PmuChain : public PmuFixture {
 protected:
  void start_pair(unsigned even, std::uint64_t event) {
    start(even, event);
    start(even + 1, kChain);
  }
};

TEST_F(Arm64PmuChain, OverflowOfTheEvenCounterIsCountedByTheOddOne) {
  start_pair(2, kInstRetired);
  write(reg::PMEVCNTR_EL0(2), 0xffff'fffe);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(3)), 0u);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(3)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(2)), 0u);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u << 2) << "the even one's flag is set as always";
  EXPECT_EQ(perf.open_events(), 1u) << "one host event for both";
}

TEST_F(Arm64PmuChain, BothOverflowOnTheSameInstruction) {
  start_pair(0, kInstRetired);
  write(reg::PMINTENSET_EL1, 2);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  write(reg::PMEVCNTR_EL0(1), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 3u);
  EXPECT_TRUE(sink.line) << "of the odd one only";
  EXPECT_EQ(pmu->statistics().overflows, 2u);
}

TEST_F(Arm64PmuChain, OddCounterNeedsItsEnable) {
  start_pair(0, kInstRetired);
  write(reg::PMCNTENCLR_EL0, 2);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u);
}

TEST_F(Arm64PmuChain, OddCounterWithAnotherEventIsLeftAlone) {
  start(0, kInstRetired);
  start(1, kLoads);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  write(reg::PMEVCNTR_EL0(1), 5);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 6u) << "its own event";
}

TEST_F(Arm64PmuChain, SoftwareIncrementsChain) {
  start_pair(4, 0x00);
  write(reg::PMEVCNTR_EL0(4), 0xffff'ffff);
  write(reg::PMSWINC_EL0, 1 << 4);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(5)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(4)), 0u);
}

TEST_F(Arm64PmuChain, EvenCounterDoesNotCountIt) {
  start(0, kInstRetired);
  start(1, kInstRetired);
  start(2, kChain);
  write(reg::PMEVCNTR_EL0(1), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(2)), 0u);
  EXPECT_EQ(pmu->status(event_counter(2)), CounterStatus::kUnsupportedEvent);
}

TEST_F(Arm64PmuChain, LastEvenCounterHasNobodyToChainTo) {
  make({.version = 4, .event_counters = 5});
  start(4, kInstRetired);
  write(reg::PMEVCNTR_EL0(4), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u << 4);
}

TEST_F(Arm64PmuChain, CycleCounterIsNoOddCounter) {
  make({.version = 4, .event_counters = 31});
  start(30, kInstRetired);
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMEVCNTR_EL0(30), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 1u) << "a cycle";
}

TEST_F(Arm64PmuChain, LongCountersHaveNoChain) {
  make(kArmv8_5);
  start_pair(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  count(1);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 0u);
  EXPECT_EQ(pmu->status(event_counter(1)), CounterStatus::kUnsupportedEvent);
}

TEST_F(Arm64PmuChain, PairReadsAs64BitCounter) {
  start_pair(0, kInstRetired);
  for (int turn = 0; turn < 3; ++turn) {
    write(reg::PMEVCNTR_EL0(0), 0xffff'fff6);
    count(10);
  }
  count(123);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)) << 32 | read(reg::PMEVCNTR_EL0(0)), 0x3'0000'007bu);
}

}  // namespace
}  // namespace vpmu::virt::arm64
