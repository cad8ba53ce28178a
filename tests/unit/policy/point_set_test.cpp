// SPDX-License-Identifier: MIT
#include "policy/point_set.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {

TEST(PointSet, HasWhatABitsetHas) {
  UnitMaskSet bits;
  for (const unsigned p : {0U, 63U, 64U, 127U, 128U, 200U, 255U}) bits.set(p);
  const PointSet set{bits};
  EXPECT_EQ(set.size(), 7u);
  for (unsigned p = 0; p < 256; ++p) EXPECT_EQ(set.contains(static_cast<Point>(p)), bits.test(p));
  EXPECT_EQ(set.first(), 0);
}

TEST(PointSet, GivesItsPointsInOrder) {
  PointSet set;
  for (const Point p : {200, 3, 64, 63}) set.insert(p);
  set.erase(3);
  std::vector<unsigned> points;
  set.for_each([&](Point p) { points.push_back(p); });
  EXPECT_EQ(points, (std::vector<unsigned>{63, 64, 200}));
  EXPECT_EQ(set.first(), 63);
}

TEST(PointSet, WithABitHasTheHalfThatHasItAndFlippedIsTheOtherHalf) {
  for (unsigned bit = 0; bit < 8; ++bit) {
    const PointSet half = PointSet::with_bit(bit);
    for (unsigned p = 0; p < 256; ++p) {
      EXPECT_EQ(half.contains(static_cast<Point>(p)), (p >> bit & 1) != 0);
    }
    EXPECT_EQ(half.flipped(bit), ~half);
    EXPECT_FALSE(half.meets(~half));
  }
}

TEST(PointSet, FlippedMovesEachPoint) {
  for (unsigned bit = 0; bit < 8; ++bit) {
    for (unsigned p = 0; p < 256; ++p) {
      PointSet from;
      from.insert(static_cast<Point>(p));
      PointSet to;
      to.insert(static_cast<Point>(p ^ 1U << bit));
      EXPECT_EQ(from.flipped(bit), to);
    }
  }
}

}  // namespace
}  // namespace vpmu::policy
