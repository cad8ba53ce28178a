// SPDX-License-Identifier: MIT
#include "profile/views/columns.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace vpmu::profile {
namespace {

TEST(Columns, NumbersAreShortAndKeepFourDigits) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(99'999), "99999");
  EXPECT_EQ(short_number(100'000), "100.0K");
  EXPECT_EQ(short_number(999'949), "999.9K");
  EXPECT_EQ(short_number(999'950), "1.000M");
  EXPECT_EQ(short_number(1'234'567), "1.235M");
  EXPECT_EQ(short_number(12'345'678), "12.35M");
  EXPECT_EQ(short_number(std::numeric_limits<std::uint64_t>::max()), "18.45E");
}

TEST(Columns, WideCharactersTakeTwoAndMarksNone) {
  EXPECT_EQ(columns_of("abc"), 3u);
  EXPECT_EQ(columns_of("\u00e4"), 1u);
  EXPECT_EQ(columns_of("\u4e2d\u6587"), 4u);
  EXPECT_EQ(columns_of("a\u0301"), 1u);
}

TEST(Columns, WhatDoesNotFitIsCutBetweenCharacters) {
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("abcdefg", 6), "abc...");
  EXPECT_EQ(cut("\u4e2d\u6587\u4e2d\u6587", 6), "\u4e2d...") << "half a character does not fit";
  EXPECT_EQ(cut("abcdef", 2), "..");
  EXPECT_EQ(padded("ab", 4), "ab  ");
  EXPECT_EQ(padded("\u4e2d\u6587\u4e2d", 5), "\u4e2d...");
}

}  // namespace
}  // namespace vpmu::profile
