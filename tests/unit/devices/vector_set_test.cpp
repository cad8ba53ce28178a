// SPDX-License-Identifier: MIT
#include "machine/devices/vector_set.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine {
namespace {

TEST(VectorSet, IsEmptyAtFirst) {
  const VectorSet set;
  EXPECT_EQ(set.highest(), -1);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(set.word(i), 0U);
}

TEST(VectorSet, ShowsEveryVectorAtItsPlace) {
  for (unsigned vector = 0; vector < 256; ++vector) {
    VectorSet set;
    set.insert(static_cast<std::uint8_t>(vector));
    EXPECT_TRUE(set.contains(static_cast<std::uint8_t>(vector)));
    EXPECT_EQ(set.highest(), static_cast<int>(vector));
    for (unsigned i = 0; i < 8; ++i) {
      EXPECT_EQ(set.word(i), i == vector / 32 ? 1U << (vector % 32) : 0U);
    }
    set.erase(static_cast<std::uint8_t>(vector));
    EXPECT_EQ(set, VectorSet{});
  }
}

TEST(VectorSet, HighestIsTheHighestOfSeveral) {
  VectorSet set;
  for (const std::uint8_t vector : {0x31, 0xf0, 0x80, 0x7f}) set.insert(vector);
  EXPECT_EQ(set.highest(), 0xf0);
  set.erase(0xf0);
  EXPECT_EQ(set.highest(), 0x80);
}

}  // namespace
}  // namespace vpmu::machine
