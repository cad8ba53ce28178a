// SPDX-License-Identifier: MIT
#include "cli/wrap.hpp"

#include <gtest/gtest.h>

namespace vpmu::cli {
namespace {

TEST(Wrapped, WhatFitsStaysOnOneLine) {
  EXPECT_EQ(wrapped("head ", 5, "one two", 12), "head one two");
}

TEST(Wrapped, FurtherLinesAreIndented) {
  EXPECT_EQ(wrapped("head ", 5, "one two three", 12), "head one two\n     three");
}

TEST(Wrapped, AWordThatIsTooLongIsNotBroken) {
  EXPECT_EQ(wrapped("", 0, "a bbbbbbbb c", 4), "a\nbbbbbbbb\nc");
}

TEST(Wrapped, NothingIsTheHead) {
  EXPECT_EQ(wrapped("head", 4, ""), "head");
}

}  // namespace
}  // namespace vpmu::cli
