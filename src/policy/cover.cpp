// SPDX-License-Identifier: MIT
#include "policy/cover.hpp"

#include <algorithm>

namespace vpmu::policy {

Cover::Cover(const PointSet& ground) : cubes_{ground}, primes_{cubes_.primes()} {
  prime_points_.reserve(primes_.size());
  for (const Cube prime : primes_) {
    prime_points_.push_back(prime.points());
    prime_points_.back().for_each([&](Point p) { joined_[p] |= prime_points_.back(); });
  }
  ground.for_each([&](Point p) { hardest_first_.push_back(p); });
  std::ranges::stable_sort(hardest_first_, {}, [&](Point p) { return joined_[p].size(); });
}

unsigned Cover::at_least(PointSet points, unsigned enough) const {
  unsigned apart = 0;
  if (points.empty()) return apart;
  for (const Point p : hardest_first_) {
    if (!points.contains(p)) continue;
    points -= joined_[p];
    if (++apart > enough || points.empty()) break;
  }
  return apart;
}

Point Cover::hardest(const PointSet& points) const {
  return *std::ranges::find_if(hardest_first_, [&](Point p) { return points.contains(p); });
}

std::optional<std::vector<Cube>> Cover::find(const PointSet& points, unsigned most,
                                             Steps& steps) const {
  std::vector<Cube> chosen;
  if (!search(points, most, steps, chosen)) return std::nullopt;
  return chosen;
}

bool Cover::search(const PointSet& points, unsigned most, Steps& steps,
                   std::vector<Cube>& chosen) const {
  if (points.empty()) return true;
  if (most == 0 || !steps.take() || at_least(points, most) > most) return false;

  struct Choice {
    std::size_t prime;
    unsigned covers;
  };
  const Point p = hardest(points);
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < primes_.size(); ++i) {
    if (primes_[i].contains(p)) choices.push_back({i, (prime_points_[i] & points).size()});
  }
  std::ranges::stable_sort(choices, std::ranges::greater{}, &Choice::covers);
  std::vector<PointSet> tried;
  for (const Choice choice : choices) {
    const PointSet covered = prime_points_[choice.prime] & points;
    // What covers no more than one that did not help does not help.
    if (std::ranges::any_of(tried, [&](const PointSet& t) { return covered.within(t); })) continue;
    chosen.push_back(primes_[choice.prime]);
    if (search(points - covered, most - 1, steps, chosen)) return true;
    chosen.pop_back();
    tried.push_back(covered);
  }
  return false;
}

std::vector<Cube> Cover::quick(PointSet points) const {
  std::vector<Cube> chosen;
  while (!points.empty()) {
    const Point p = hardest(points);
    std::size_t best = primes_.size();
    unsigned most = 0;
    for (std::size_t i = 0; i < primes_.size(); ++i) {
      const unsigned covers = primes_[i].contains(p) ? (prime_points_[i] & points).size() : 0;
      if (covers <= most) continue;
      most = covers;
      best = i;
    }
    chosen.push_back(primes_[best]);
    points -= prime_points_[best];
  }
  return chosen;
}

}  // namespace vpmu::policy
