// SPDX-License-Identifier: MIT
#include "profile/views/function_name.hpp"

#include <gtest/gtest.h>

namespace vpmu::profile {
namespace {

TEST(ShortFunctionName, FirstTheArgumentsGoThenTheBeginning) {
  const char* name = "a::(anonymous namespace)::f(unsigned long, unsigned long)";
  EXPECT_EQ(short_function_name(name, 57), name);
  EXPECT_EQ(short_function_name(name, 56), "a::(anonymous namespace)::f");
  EXPECT_EQ(short_function_name(name, 26), "...anonymous namespace)::f");
  EXPECT_EQ(short_function_name(name, 10), "...ace)::f");
  EXPECT_EQ(short_function_name(name, 3), "...");
  EXPECT_EQ(short_function_name(name, 1), ".");
}

TEST(ShortFunctionName, IsNotCutInACharacter) {
  EXPECT_EQ(short_function_name("\u4e2d\u6587\u4e2d\u6587", 6), "...\u6587");
}

}  // namespace
}  // namespace vpmu::profile
