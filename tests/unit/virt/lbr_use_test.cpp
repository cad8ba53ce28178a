// SPDX-License-Identifier: MIT
//
// What counts as use of last branch records, and what is left when there was none.
#include <gtest/gtest.h>

#include "unit/virt/lbr_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

class LbrUseTest : public LbrFixture {
 protected:
  /// Between two entries, without an exit.
  void record_one_branch() {
    ASSERT_TRUE(lbr->passed_through());
    silicon::x86::LbrStack& unit = perf.unit(lbr->event());
    ASSERT_TRUE(unit.write(msr::IA32_LBR_CTL, kLbrCtlOn));
    unit.record({.from = 0x1000, .to = 0x2000, .next = 0x1002, .cycle = cycle_ += 100});
    ASSERT_TRUE(unit.write(msr::IA32_LBR_CTL, 0));
  }

 private:
  std::uint64_t cycle_ = 0;
};

TEST_F(LbrUseTest, AGuestThatSwitchesArchitecturalRecordsWithoutExitsKeepsItsEvent) {
  make_lbr(kArchitectural32, 5);
  ASSERT_EQ(rdmsr(msr::IA32_LBR_CTL), Access::done(0));
  for (int slice = 0; slice < 5; ++slice) {
    new_slice();
    record_one_branch();
  }
  EXPECT_TRUE(has_event());
  EXPECT_EQ(lbr->statistics().events_released, 0u);
}

TEST_F(LbrUseTest, OneThatStopsLosesItAfterTwoTimeSlices) {
  make_lbr(kArchitectural32, 5);
  ASSERT_EQ(rdmsr(msr::IA32_LBR_CTL), Access::done(0));
  new_slice();
  record_one_branch();
  slices(2);
  EXPECT_TRUE(has_event()) << "only one slice was without use";
  new_slice();
  EXPECT_FALSE(has_event());
}

TEST_F(LbrUseTest, WhatIsSavedBehindALazyReleaseCanBeRestored) {
  ASSERT_EQ(rdmsr(msr::MSR_LASTBRANCH_TOS), Access::done(0));
  slices(Lbr::kIdleSlices + 1);
  ASSERT_FALSE(has_event());
  ASSERT_EQ(lbr->statistics().events_released, 1u);
  const VirtualLbrState state = lbr->save();
  make_lbr(kInfo32, 2);
  const auto restored = lbr->restore(state);
  EXPECT_TRUE(restored) << restored.error().message;
}

}  // namespace
}  // namespace vpmu::virt::x86
