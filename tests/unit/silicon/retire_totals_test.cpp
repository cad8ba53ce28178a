// SPDX-License-Identifier: MIT
#include "vpmu/silicon/retire_totals.hpp"

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

TEST(RetireTotals, AreKeptPerEventAndPrivilege) {
  RetireTotals totals;
  totals.add(RawEvent::kLoads, Privilege::kUser, 3);
  totals.add(RawEvent::kLoads, Privilege::kKernel, 5);
  totals.add(RawEvent::kStores, Privilege::kUser, 7);

  EXPECT_EQ(totals.read(RawEvent::kLoads, {.user = true}), 3u);
  EXPECT_EQ(totals.read(RawEvent::kLoads, {.kernel = true}), 5u);
  EXPECT_EQ(totals.read(RawEvent::kLoads, kAllPrivileges), 8u);
  EXPECT_EQ(totals.read(RawEvent::kLoads, {}), 0u);
  EXPECT_EQ(totals.read(RawEvent::kStores, kAllPrivileges), 7u);
  EXPECT_EQ(totals.of(Privilege::kUser)[static_cast<std::size_t>(RawEvent::kStores)], 7u);
}

TEST(RetireTotals, AskTheSourceBeforeEveryRead) {
  struct Source final : RetireSource {
    explicit Source(RetireTotals& to) : totals{to} {}
    void hand_over() override { totals.add(RawEvent::kInstructions, Privilege::kUser, 10); }
    RetireTotals& totals;
  };
  RetireTotals totals;
  Source source{totals};
  totals.set_source(&source);

  EXPECT_EQ(totals.held(RawEvent::kInstructions, kAllPrivileges), 0u);
  EXPECT_EQ(totals.read(RawEvent::kInstructions, kAllPrivileges), 10u);
  EXPECT_EQ(totals.held(RawEvent::kInstructions, kAllPrivileges), 10u);
  totals.set_source(nullptr);
  EXPECT_EQ(totals.read(RawEvent::kInstructions, kAllPrivileges), 10u);
}

TEST(RetireTotals, AreDemandedAsLongAsAnybodyCounts) {
  RetireTotals totals;
  EXPECT_FALSE(totals.demanded(RawEvent::kMispredictedBranches));
  totals.demand(RawEvent::kMispredictedBranches);
  totals.demand(RawEvent::kMispredictedBranches);
  totals.release(RawEvent::kMispredictedBranches);
  EXPECT_TRUE(totals.demanded(RawEvent::kMispredictedBranches));
  EXPECT_FALSE(totals.demanded(RawEvent::kBranches));
  totals.release(RawEvent::kMispredictedBranches);
  EXPECT_FALSE(totals.demanded(RawEvent::kMispredictedBranches));
}

}  // namespace
}  // namespace vpmu::silicon
