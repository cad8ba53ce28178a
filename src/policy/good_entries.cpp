// SPDX-License-Identifier: MIT
#include "policy/good_entries.hpp"

#include <algorithm>
#include <random>

namespace vpmu::policy {

namespace {
/// Of the excludes there are: a set of primes that is changed one by one. Once they are chosen,
/// includes may cover whatever is wanted or excluded; so they can be as large as that leaves room.
class Improvement {
 public:
  Improvement(const Cover& wanted, const PointSet& wanted_points, const Cover& unwanted)
      : wanted_{wanted}, wanted_points_{wanted_points}, unwanted_{unwanted} {
    for (const Cube prime : unwanted_.primes()) prime_points_.push_back(prime.points());
  }

  Entries run(std::uint64_t rounds);

 private:
  using Excludes = std::vector<std::size_t>;

  [[nodiscard]] std::vector<Cube> includes(const PointSet& excluded) const;
  [[nodiscard]] Cube grow(Point p, const PointSet& open, const PointSet& room) const;
  /// Of these excludes only those that the includes need.
  [[nodiscard]] Entries entries(const Excludes& excludes) const;
  [[nodiscard]] Excludes neighbour(const Excludes& excludes);
  void keep_if_better(Entries entries) {
    if (entries.size() < best_.size()) best_ = std::move(entries);
  }
  std::size_t random(std::size_t below) { return random_() % below; }

  const Cover& wanted_;
  PointSet wanted_points_;
  const Cover& unwanted_;
  std::vector<PointSet> prime_points_;
  std::mt19937 random_;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same numbers
  Entries best_;
};

Cube Improvement::grow(Point p, const PointSet& open, const PointSet& room) const {
  std::uint8_t free = 0;
  PointSet points;
  points.insert(p);
  for (;;) {
    int best = -1;
    unsigned direction = 0;
    PointSet largest;
    for (unsigned bit = 0; bit < kDimensions; ++bit) {
      if ((free >> bit & 1) != 0) continue;
      const PointSet grown = points | points.flipped(bit);
      if (!grown.within(room)) continue;
      const int covers = static_cast<int>((grown & open).size());
      if (covers <= best) continue;
      best = covers;
      direction = bit;
      largest = grown;
    }
    if (best < 0) return cube_around(p, free);
    free = static_cast<std::uint8_t>(free | 1U << direction);
    points = largest;
  }
}

std::vector<Cube> Improvement::includes(const PointSet& excluded) const {
  const PointSet room = wanted_points_ | excluded;
  std::vector<Cube> includes;
  PointSet open = wanted_points_;
  for (const Point p : wanted_.hardest_first()) {
    if (!open.contains(p)) continue;
    includes.push_back(grow(p, open, room));
    open -= includes.back().points();
  }
  return includes;
}

Entries Improvement::entries(const Excludes& excludes) const {
  PointSet excluded;
  for (const std::size_t i : excludes) excluded |= prime_points_[i];
  Entries found{includes(excluded), {}};
  PointSet to_exclude;
  for (const Cube include : found.includes) to_exclude |= include.points();
  to_exclude -= wanted_points_;
  for (std::size_t i = 0; i < excludes.size(); ++i) {
    PointSet others;
    for (std::size_t k = i + 1; k < excludes.size(); ++k) others |= prime_points_[excludes[k]];
    if ((to_exclude & prime_points_[excludes[i]]).within(others)) continue;
    found.excludes.push_back(unwanted_.primes()[excludes[i]]);
    to_exclude -= prime_points_[excludes[i]];
  }
  return found;
}

Improvement::Excludes Improvement::neighbour(const Excludes& excludes) {
  Excludes other = excludes;
  const std::size_t kind = random(4);
  if (kind > 0 && !other.empty()) {
    other.erase(other.begin() + static_cast<std::ptrdiff_t>(random(other.size())));
  }
  if (kind < 3) {
    const std::size_t prime = random(prime_points_.size());
    if (std::ranges::find(other, prime) == other.end()) other.push_back(prime);
  }
  return other;
}

Entries Improvement::run(std::uint64_t rounds) {
  best_ = entries({});
  const PointSet all = smallest_cube(wanted_points_).points();
  keep_if_better({{smallest_cube(wanted_points_)}, unwanted_.quick(all - wanted_points_)});
  if (prime_points_.empty()) return best_;

  Excludes now;
  std::size_t cost = best_.size();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Excludes next = neighbour(now);
    Entries found = entries(next);
    const std::size_t next_cost = found.includes.size() + next.size();
    // Sometimes it may get worse, the less often the worse.
    if (next_cost > cost &&
        random(std::size_t{3} << (2 * std::min<std::size_t>(next_cost - cost, 8))) != 0) {
      continue;
    }
    now = std::move(next);
    cost = next_cost;
    keep_if_better(std::move(found));
  }
  return best_;
}
}  // namespace

Entries good_entries(const Cover& wanted, const PointSet& wanted_points, const Cover& unwanted,
                     std::uint64_t rounds) {
  return Improvement{wanted, wanted_points, unwanted}.run(rounds);
}

}  // namespace vpmu::policy
