// SPDX-License-Identifier: MIT
#include "policy/cube.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vpmu::policy {
namespace {

std::vector<Cube> all_cubes() {
  std::vector<Cube> cubes;
  for (unsigned mask = 0; mask < 256; ++mask) {
    for (unsigned match = 0; match < 256; ++match) {
      if ((match & ~mask) != 0) continue;
      cubes.push_back({static_cast<std::uint8_t>(mask), static_cast<std::uint8_t>(match)});
    }
  }
  return cubes;
}

TEST(Cube, HasThePointsThatMatchUnderTheMask) {
  for (const Cube cube : all_cubes()) {
    const PointSet points = cube.points();
    ASSERT_EQ(points.size(), 1U << (8 - std::popcount(cube.mask)));
    for (unsigned p = 0; p < 256; ++p) {
      const auto point = static_cast<Point>(p);
      ASSERT_EQ(points.contains(point), (p & cube.mask) == cube.match);
      ASSERT_EQ(cube.contains(point), points.contains(point));
    }
  }
}

TEST(Cube, TheSmallestOfACubeIsTheCube) {
  for (const Cube cube : all_cubes()) {
    ASSERT_EQ(smallest_cube(cube.points()), cube);
    ASSERT_EQ(cube_around(cube.points().first(), static_cast<std::uint8_t>(~cube.mask)), cube);
  }
}

TEST(Cube, TheSmallestIsTheOneOfFewestPointsThatHasThemAll) {
  PointSet set;
  for (const Point p : {0x81, 0x82, 0x91}) set.insert(p);
  EXPECT_EQ(smallest_cube(set), (Cube{0xec, 0x80}));
}

TEST(CubesWithin, PrimesAreTheCubesThatNoOtherContains) {
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same sets
  for (const unsigned one_in : {2U, 5U, 20U}) {
    PointSet set = PointSet::all();
    for (unsigned p = 0; p < 256; ++p) {
      if (random() % one_in == 0) set.erase(static_cast<Point>(p));
    }
    std::vector<Cube> within;
    std::ranges::copy_if(all_cubes(), std::back_inserter(within),
                         [&](Cube cube) { return cube.points().within(set); });
    std::vector<Cube> primes;
    for (const Cube cube : within) {
      const bool largest = std::ranges::none_of(within, [&](Cube other) {
        return other != cube && cube.points().within(other.points());
      });
      if (largest) primes.push_back(cube);
    }
    EXPECT_EQ(CubesWithin{set}.primes(), primes);
  }
}

TEST(CubesWithin, JoinsWhatOneOfThemContains) {
  PointSet set = PointSet::all();
  set.erase(0x01);
  const CubesWithin cubes{set};
  EXPECT_TRUE(cubes.joins(0x00, 0xfe));
  EXPECT_FALSE(cubes.joins(0x00, 0x03));
  EXPECT_TRUE(cubes.joins(0x02, 0x03));
  EXPECT_FALSE(cubes.joins(0x01, 0x01));
}

}  // namespace
}  // namespace vpmu::policy
