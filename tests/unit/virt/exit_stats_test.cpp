// SPDX-License-Identifier: MIT
#include "vpmu/virt/exit_stats.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace vpmu::virt {
namespace {

TEST(ExitStats, CountsByReasonWithTheirCost) {
  ExitStats stats;
  stats.record(ExitReason::kMsrWrite);
  stats.record(ExitReason::kMsrWrite);
  stats.record(ExitReason::kOther);
  EXPECT_EQ(stats.count(ExitReason::kMsrWrite), 2u);
  EXPECT_EQ(stats.count(ExitReason::kMsrRead), 0u);
  EXPECT_EQ(stats.cost(ExitReason::kMsrWrite), 2 * modelled_cost(ExitReason::kMsrWrite));
  EXPECT_EQ(stats.total_count(), 3u);
  EXPECT_EQ(stats.total_cost(),
            2 * modelled_cost(ExitReason::kMsrWrite) + modelled_cost(ExitReason::kOther));
}

TEST(ExitStats, EveryReasonHasANameOfItsOwnAndACost) {
  std::set<std::string> names;
  for (std::size_t n = 0; n < kExitReasonCount; ++n) {
    names.insert(name(static_cast<ExitReason>(n)));
    EXPECT_GT(modelled_cost(static_cast<ExitReason>(n)), 0u);
  }
  EXPECT_EQ(names.size(), kExitReasonCount);
  EXPECT_STREQ(name(ExitReason::kMsrRead), "msr-read");
  EXPECT_STREQ(name(ExitReason::kOther), "other");
}

}  // namespace
}  // namespace vpmu::virt
