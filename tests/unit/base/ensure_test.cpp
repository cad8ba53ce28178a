// SPDX-License-Identifier: MIT
#include "vpmu/base/ensure.hpp"

#include <gtest/gtest.h>

namespace vpmu {
namespace {

TEST(EnsureDeathTest, StopsTheProcessInEveryBuild) {
  ensure(true);
  EXPECT_DEATH(ensure(false), "");
}

}  // namespace
}  // namespace vpmu
