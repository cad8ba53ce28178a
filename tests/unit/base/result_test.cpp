// SPDX-License-Identifier: MIT
#include "vpmu/base/result.hpp"

#include <gtest/gtest.h>

namespace vpmu {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(std::to_string(number) + " is odd: give an even number");
  return number / 2;
}

TEST(Result, IsAValueOrAMessageThatNamesTheInput) {
  EXPECT_EQ(half(4).value(), 2);
  const Result<int> failed = half(5);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message, "5 is odd: give an even number");
}

}  // namespace
}  // namespace vpmu
