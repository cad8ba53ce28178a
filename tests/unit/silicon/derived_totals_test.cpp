// SPDX-License-Identifier: MIT
#include "vpmu/silicon/derived_totals.hpp"

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

constexpr PrivilegeSet kUserOnly{true, false};
constexpr PrivilegeSet kKernelOnly{false, true};
constexpr std::uint32_t kSlotsPerCycle = 4;

TEST(DerivedTotals, FollowFromCyclesInstructionsAndAccesses) {
  RetireTotals totals;
  totals.add(RawEvent::kCycles, Privilege::kUser, 10);
  totals.add(RawEvent::kInstructions, Privilege::kUser, 7);
  totals.add(RawEvent::kLoads, Privilege::kUser, 3);
  totals.add(RawEvent::kStores, Privilege::kUser, 2);
  derive_totals(totals, kSlotsPerCycle);
  EXPECT_EQ(totals.read(RawEvent::kReferenceCycles, kUserOnly), 10u);
  EXPECT_EQ(totals.read(RawEvent::kMemoryAccesses, kUserOnly), 5u);
  EXPECT_EQ(totals.read(RawEvent::kSlots, kUserOnly), 40u);
  EXPECT_EQ(totals.read(RawEvent::kBackendBoundSlots, kUserOnly), 33u);
}

TEST(DerivedTotals, KeepPrivilegesApart) {
  RetireTotals totals;
  totals.add(RawEvent::kCycles, Privilege::kUser, 1);
  totals.add(RawEvent::kCycles, Privilege::kKernel, 100);
  derive_totals(totals, kSlotsPerCycle);
  EXPECT_EQ(totals.read(RawEvent::kSlots, kUserOnly), 4u);
  EXPECT_EQ(totals.read(RawEvent::kSlots, kKernelOnly), 400u);
}

TEST(DerivedTotals, AreTheSameWhenNothingHasRetiredSince) {
  RetireTotals totals;
  totals.add(RawEvent::kCycles, Privilege::kKernel, 6);
  derive_totals(totals, kSlotsPerCycle);
  const RetireTotals::State once = totals.save();
  derive_totals(totals, kSlotsPerCycle);
  EXPECT_EQ(totals.save(), once);
}

}  // namespace
}  // namespace vpmu::silicon
