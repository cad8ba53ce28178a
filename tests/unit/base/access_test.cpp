// SPDX-License-Identifier: MIT
#include "vpmu/base/access.hpp"

#include <gtest/gtest.h>

namespace vpmu {
namespace {

TEST(Access, HasExactlyOneOfThreeOutcomes) {
  struct Case {
    Access access;
    bool done, fault, not_mine;
    std::uint64_t value;
  };
  const Case cases[] = {
      {Access::done(), true, false, false, 0},
      {Access::done(~0ULL), true, false, false, ~0ULL},
      {Access::fault(), false, true, false, 0},
      {Access::not_mine(), false, false, true, 0},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(expected.access.is_done(), expected.done);
    EXPECT_EQ(expected.access.is_fault(), expected.fault);
    EXPECT_EQ(expected.access.is_not_mine(), expected.not_mine);
    EXPECT_EQ(expected.access.value(), expected.value);
  }
}

TEST(Access, ComparesOutcomeAndValue) {
  EXPECT_EQ(Access::done(7), Access::done(7));
  EXPECT_NE(Access::done(7), Access::done(8));
  EXPECT_NE(Access::done(0), Access::fault());
  EXPECT_NE(Access::fault(), Access::not_mine());
}

}  // namespace
}  // namespace vpmu
