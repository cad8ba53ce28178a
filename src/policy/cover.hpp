// SPDX-License-Identifier: MIT
//
// Covering points of a set (the ground) with as few cubes as possible that lie within it.
#pragma once

#include <optional>
#include <vector>

#include "policy/cube.hpp"
#include "policy/steps.hpp"

namespace vpmu::policy {

class Cover {
 public:
  explicit Cover(const PointSet& ground);

  [[nodiscard]] const CubesWithin& cubes() const { return cubes_; }
  [[nodiscard]] const std::vector<Cube>& primes() const { return primes_; }
  /// The points, those that share a cube with the fewest others first.
  [[nodiscard]] const std::vector<Point>& hardest_first() const { return hardest_first_; }

  /// Points of the ground no two of which fit into one cube: as many cubes are needed at least.
  /// Stops counting above `enough`.
  [[nodiscard]] unsigned at_least(PointSet points, unsigned enough) const;

  /// At most `most` cubes that cover `points` of the ground. None: there are none, or the steps
  /// are spent.
  [[nodiscard]] std::optional<std::vector<Cube>> find(const PointSet& points, unsigned most,
                                                      Steps& steps) const;
  /// Some cubes that cover them, found at once.
  [[nodiscard]] std::vector<Cube> quick(PointSet points) const;

 private:
  bool search(const PointSet& points, unsigned most, Steps& steps, std::vector<Cube>& chosen) const;
  [[nodiscard]] Point hardest(const PointSet& points) const;

  CubesWithin cubes_;
  std::vector<Cube> primes_;
  std::vector<PointSet> prime_points_;
  std::vector<Point> hardest_first_;
  std::array<PointSet, 256> joined_;  ///< those that a cube can cover together with that point
};

}  // namespace vpmu::policy
