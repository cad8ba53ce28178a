// SPDX-License-Identifier: MIT
//
// Cubes of unit masks: what an entry of a masked filter covers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/point_set.hpp"

namespace vpmu::policy {

inline constexpr unsigned kDimensions = 8;

/// All points u with `(u & mask) == match`. No bit of `match` lies outside `mask`.
struct Cube {
  std::uint8_t mask = 0;
  std::uint8_t match = 0;

  [[nodiscard]] constexpr PointSet points() const {
    PointSet set = PointSet::all();
    for (unsigned bit = 0; bit < kDimensions; ++bit) {
      if ((mask >> bit & 1) == 0) continue;
      const PointSet with = PointSet::with_bit(bit);
      set = (match >> bit & 1) != 0 ? set & with : set - with;
    }
    return set;
  }
  [[nodiscard]] constexpr bool contains(Point p) const { return (p & mask) == match; }
  friend constexpr bool operator==(Cube, Cube) = default;
};

/// With `free` bits in every value, and a point of it.
constexpr Cube cube_around(Point p, std::uint8_t free) {
  const auto mask = static_cast<std::uint8_t>(~free);
  return {mask, static_cast<std::uint8_t>(p & mask)};
}

/// The smallest cube that contains a set that is not empty.
constexpr Cube smallest_cube(const PointSet& set) {
  std::uint8_t free = 0;
  for (unsigned bit = 0; bit < kDimensions; ++bit) {
    const PointSet with = PointSet::with_bit(bit);
    if (set.meets(with) && set.meets(~with)) free = static_cast<std::uint8_t>(free | 1U << bit);
  }
  return cube_around(set.first(), free);
}

/// Which cubes lie within a set.
class CubesWithin {
 public:
  explicit CubesWithin(const PointSet& set);

  /// Whether the cube with these bits free, around `p`, does.
  [[nodiscard]] bool has(Point p, std::uint8_t free) const { return around_[free].contains(p); }
  /// Whether one cube within the set contains both.
  [[nodiscard]] bool joins(Point a, Point b) const {
    return has(a, static_cast<std::uint8_t>(a ^ b));
  }
  /// The largest ones: those that no other within the set contains. By mask and match.
  [[nodiscard]] std::vector<Cube> primes() const;

 private:
  /// By the free bits: around which points.
  std::array<PointSet, std::size_t{1} << kDimensions> around_;
};

}  // namespace vpmu::policy
