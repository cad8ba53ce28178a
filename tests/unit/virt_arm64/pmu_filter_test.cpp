// SPDX-License-Identifier: MIT
//
// What a PMU does with an event filter: what counts, what is enumerated, and changes on the way.
#include "unit/virt_arm64/pmu_fixture.hpp"
#include "vpmu/virt/arm64/event_filter.hpp"

namespace vpmu::virt::arm64 {
namespace {

class Arm64PmuFilter : public PmuFixture {
 protected:
  void set(std::uint16_t base, std::uint16_t count, std::uint8_t action) {
    ASSERT_TRUE(filter.set({.base_event = base, .nevents = count, .action = action}));
    pmu->set_event_gate(&filter);
    pmu->before_entry();
  }
  ~Arm64PmuFilter() override { pmu->set_event_gate(nullptr); }

  EventFilter filter{silicon::arm64::kPmuV3p1};
};

constexpr std::uint8_t kAllow = FilterRange::kAllow, kDeny = FilterRange::kDeny;

TEST_F(Arm64PmuFilter, DeniedEventKeepsItsCountAndReadsFrozen) {
  start(0, kInstRetired);
  count(10);
  set(kInstRetired, 1, kDeny);
  count(10);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 10u);
  EXPECT_EQ(pmu->status(event_counter(0)), CounterStatus::kDenied);
  write(reg::PMEVTYPER_EL0(0), kLoads);
  count(5);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 15u);
}

TEST_F(Arm64PmuFilter, CycleCounterIsFilteredAsCpuCycles) {
  set(0x11, 1, kDeny);
  write(reg::PMCNTENSET_EL0, kCycles);
  write(reg::PMCR_EL0, kE);
  count(10);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 0u);
  EXPECT_EQ(pmu->status(kCycleCounter), CounterStatus::kDenied);
}

TEST_F(Arm64PmuFilter, SoftwareIncrementsAndChainCountAlways) {
  set(kInstRetired, 1, kAllow);
  start(0, 0x00);
  start(1, kChain);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  write(reg::PMSWINC_EL0, 1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 0u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 1u);
}

TEST_F(Arm64PmuFilter, EnumerationLeavesOutWhatIsDenied) {
  PmuConfig config = kArmv8_1;
  config.common_events = {1ull << 8 | 1ull << 0x11 | 1ull << (32 + 4),
                          1ull << 2 | 1ull << (32 + 3)};
  make(config);
  set(0x11, 1, kDeny);
  EXPECT_EQ(read(reg::PMCEID0_EL0), 1ull | 1ull << 8 | 1ull << 0x1e | 1ull << 36);
  set(0x4004, 1, kDeny);
  set(0x4023, 1, kDeny);
  set(0x0000, 1, kDeny);
  EXPECT_EQ(read(reg::PMCEID0_EL0), 1ull << 8 | 1ull << 0x1e) << "SW_INCR too";
  EXPECT_EQ(read(reg::PMCEID1_EL0), 1ull << 2);
}

TEST_F(Arm64PmuFilter, ChangeIsInEffectFromTheNextInstructionOn) {
  FakeGate gate;
  start(0, kInstRetired);
  pmu->set_event_gate(&gate);
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  gate.denied = kInstRetired;
  sink.requests = 0;
  pmu->gate_changed();
  EXPECT_EQ(sink.requests, 1);
  pmu->before_entry();
  count(7);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 0u);
  pmu->set_event_gate(nullptr);
  pmu->before_entry();
  count(7);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(0)), 7u);
}

TEST_F(Arm64PmuFilter, OverflowBeforeTheChangeIsOneStill) {
  FakeGate gate;
  start(0, kInstRetired);
  write(reg::PMEVCNTR_EL0(0), 0xffff'ffff);
  gate.denied = kInstRetired;
  pmu->set_event_gate(&gate);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 1u);
  pmu->set_event_gate(nullptr);
}

}  // namespace
}  // namespace vpmu::virt::arm64
