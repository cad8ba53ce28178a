// SPDX-License-Identifier: MIT
#include "policy/cube.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace vpmu::policy {

CubesWithin::CubesWithin(const PointSet& set) {
  around_[0] = set;
  for (std::size_t free = 1; free < around_.size(); ++free) {
    // A cube is two halves.
    const auto bit = static_cast<unsigned>(std::countr_zero(free));
    const PointSet& half = around_[free & (free - 1)];
    around_[free] = half & half.flipped(bit);
  }
}

std::vector<Cube> CubesWithin::primes() const {
  std::vector<Cube> primes;
  for (std::size_t free = 0; free < around_.size(); ++free) {
    PointSet prime = around_[free];
    if (prime.empty()) continue;
    for (unsigned bit = 0; bit < kDimensions; ++bit) {
      const std::size_t direction = std::size_t{1} << bit;
      // Of its points one stands for the cube; and it is not half of a larger one.
      prime -= (free & direction) != 0 ? PointSet::with_bit(bit) : around_[free | direction];
    }
    prime.for_each(
        [&](Point p) { primes.push_back(cube_around(p, static_cast<std::uint8_t>(free))); });
  }
  std::ranges::sort(primes, {}, [](Cube cube) { return std::pair{cube.mask, cube.match}; });
  return primes;
}

}  // namespace vpmu::policy
