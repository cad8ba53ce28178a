// SPDX-License-Identifier: MIT
//
// What moves with a guest, and what is refused.
#include <functional>
#include <string>

#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

class Arm64PmuState : public PmuFixture {
 protected:
  /// A PMU with something in every register.
  void fill() {
    start(0, kInstRetired);
    start(1, kChain);
    start(4, kLoads | kNotEl0);
    write(reg::PMCCFILTR_EL0, kNotEl1);
    write(reg::PMCNTENSET_EL0, kCycles);
    write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
    write(reg::PMINTENSET_EL1, 1);
    write(reg::PMSELR_EL0, 5);
    write(reg::PMUSERENR_EL0, 0xd);
    count(1);
    count(9);
  }
  /// Moves the guest to another host.
  void move() {
    const PmuState state = pmu->save();
    pmu = std::make_unique<Pmu>(pmu->config(), there, hostperf::VcpuIndex{0}, sink_there);
    const auto restored = pmu->restore(state);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(pmu->save(), state);
    pmu->before_entry();
  }
  void TearDown() override { pmu.reset(); }

  hostperf::FakeHostPerf there;
  FakeOverflowSink sink_there;
};

TEST_F(Arm64PmuState, GuestCannotTellThatItMoved) {
  fill();
  ASSERT_TRUE(sink.line);
  move();
  EXPECT_TRUE(sink_there.line) << "the interrupt moves as well";
  EXPECT_EQ(there.of(0)->attr.period, 0x1'0000'0000u - 9) << "to the overflow, as before";
  there.count(2);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 11u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 1u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(4)), 12u);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 12u);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u);
  EXPECT_EQ(read(reg::PMSELR_EL0), 5u);
  EXPECT_EQ(read(reg::PMUSERENR_EL0), 0xdu);
  EXPECT_EQ(read(reg::PMCCFILTR_EL0), kNotEl1);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(Arm64PmuState, OverflowThatIsNotYetSaidMovesToo) {
  start(0, kInstRetired);
  write(reg::PMINTENSET_EL1, 1);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  perf.of(0)->count += 1;  // counted, and its handler not called yet
  move();
  EXPECT_TRUE(sink_there.line);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(Arm64PmuState, OverflowThatIsNotYetInTheRegistersMovesToo) {
  start(0, kInstRetired);
  start(1, kChain);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  perf.count(1);
  move();
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 1u);
  EXPECT_EQ(pmu->statistics().overflows, 1u) << "counted once";
}

TEST_F(Arm64PmuState, DividedCyclesMove) {
  make(with_aarch32(kArmv8_1));
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMCR_EL0, kE | kD);
  count(63);
  move();
  there.count(1);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 1u);
}

TEST_F(Arm64PmuState, StoppedCounterMovesWithItsValue) {
  start(0, kInstRetired);
  count(5);
  write(reg::PMCR_EL0, 0);
  move();
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 5u);
  EXPECT_EQ(there.open_events(), 0u);
}

struct Wrong {
  const char* says;
  std::function<void(PmuState&)> change;
};
const Wrong kWrong[] = {
    {"PMUVer", [](PmuState& s) { s.config.version = 5; }},
    {"event counters", [](PmuState& s) { s.config.event_counters = 4; }},
    {"AArch32", [](PmuState& s) { s.config.aarch32 = true; }},
    {"slots", [](PmuState& s) { s.config.slots = 1; }},
    {"PMCEID0_EL0", [](PmuState& s) { s.config.common_events[0] = 1; }},
    {"PMCEID1_EL0", [](PmuState& s) { s.config.common_events[1] = 1; }},
    {"PMCR_EL0", [](PmuState& s) { s.control |= 1 << 7; }},
    {"PMCNTENSET_EL0", [](PmuState& s) { s.enabled |= 1 << 6; }},
    {"PMOVSSET_EL0", [](PmuState& s) { s.overflowed |= 1 << 30; }},
    {"PMINTENSET_EL1", [](PmuState& s) { s.interrupting |= 1ull << 32; }},
    {"PMSELR_EL0", [](PmuState& s) { s.selected = 32; }},
    {"PMUSERENR_EL0", [](PmuState& s) { s.user_enable = 16; }},
    {"divider", [](PmuState& s) { s.undivided = 64; }},
    {"a counter", [](PmuState& s) { s.counters[2].value = 1ull << 32; }},
    {"a counter", [](PmuState& s) { s.counters[6].value = 1; }},
    {"an event type", [](PmuState& s) { s.counters[31].type = 0x11; }},
    {"an event type", [](PmuState& s) { s.counters[0].type |= 1 << 16; }},
    {"valid status", [](PmuState& s) { s.counters[3].status = CounterStatus{9}; }},
};

TEST_F(Arm64PmuState, WhatDoesNotFitIsRefusedWithItsName) {
  fill();
  const PmuState good = pmu->save();
  for (const Wrong& each : kWrong) {
    make(kArmv8_1);
    const PmuState before = pmu->save();
    PmuState bad = good;
    each.change(bad);
    const auto restored = pmu->restore(bad);
    ASSERT_FALSE(restored) << each.says;
    EXPECT_NE(restored.error().message.find(each.says), std::string::npos)
        << restored.error().message;
    EXPECT_EQ(pmu->save(), before) << each.says;
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
