// SPDX-License-Identifier: MIT
#include "policy/cover.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {

constexpr unsigned kMany = 256;

PointSet points_of(const std::vector<Cube>& cubes) {
  PointSet points;
  for (const Cube cube : cubes) points |= cube.points();
  return points;
}

/// Of four bits, two or more set: covered by two bits set, and each of the six pairs has a point
/// that no other pair has.
PointSet two_of_four() {
  PointSet set;
  for (const Point p : {3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15}) set.insert(p);
  return set;
}

TEST(Cover, FindsTheFewestAndNoFewer) {
  const Cover cover{two_of_four()};
  Steps steps{1'000};
  EXPECT_FALSE(cover.find(two_of_four(), 5, steps).has_value());
  const auto found = cover.find(two_of_four(), 6, steps);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(points_of(*found), two_of_four());
  EXPECT_FALSE(steps.spent());
}

TEST(Cover, NeedsNoMoreThanForThePointsAsked) {
  const Cover cover{two_of_four()};
  PointSet points;
  for (const Point p : {3, 7, 11}) points.insert(p);
  Steps steps{1'000};
  const auto found = cover.find(points, 1, steps);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(points.within(points_of(*found)));
  EXPECT_TRUE(cover.find({}, 0, steps)->empty());
}

TEST(Cover, PointsApartNeedACubeEach) {
  const Cover cover{two_of_four()};
  EXPECT_EQ(cover.at_least(two_of_four(), kMany), 6u);
  EXPECT_EQ(cover.at_least(two_of_four(), 2), 3u);  // more than 2: it need not know how many
  EXPECT_EQ(cover.at_least({}, kMany), 0u);
}

TEST(Cover, SaysNothingWithoutSteps) {
  const Cover cover{two_of_four()};
  Steps steps{1};
  EXPECT_FALSE(cover.find(two_of_four(), 6, steps).has_value());
  EXPECT_TRUE(steps.spent());
}

TEST(Cover, WhatIsFoundQuicklyCoversAndNothingElse) {
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same sets
  for (int set = 0; set < 50; ++set) {
    PointSet ground;
    for (unsigned p = 0; p < 256; ++p) {
      if (random() % 3 != 0) ground.insert(static_cast<Point>(p));
    }
    const Cover cover{ground};
    const std::vector<Cube> found = cover.quick(ground);
    EXPECT_EQ(points_of(found), ground);
    EXPECT_LE(cover.at_least(ground, kMany), found.size());
  }
}

}  // namespace
}  // namespace vpmu::policy
