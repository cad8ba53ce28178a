// SPDX-License-Identifier: MIT
#include "policy/entry_search.hpp"

#include <algorithm>

namespace vpmu::policy {

namespace {
/// Of more wanted points without include only the hardest are looked at in pairs.
constexpr std::size_t kMostInPairs = 40;
}  // namespace

EntrySearch::EntrySearch(const Cover& wanted, const PointSet& wanted_points, const Cover& unwanted,
                         Steps& steps)
    : wanted_{wanted},
      wanted_points_{wanted_points},
      unwanted_{unwanted},
      steps_{steps},
      directions_{static_cast<std::uint8_t>(~smallest_cube(wanted_points).mask)} {}

std::optional<Entries> EntrySearch::find(unsigned includes, unsigned excludes) {
  excludes_ = excludes;
  entries_ = {};
  Partners everybody;
  everybody.fill(PointSet::all());
  if (!search(wanted_points_, {}, includes, everybody)) return std::nullopt;
  return entries_;
}

bool EntrySearch::can_exclude(const PointSet& points) {
  return steps_.take() && unwanted_.at_least(points, excludes_) <= excludes_;
}

bool EntrySearch::finish(const PointSet& to_exclude) {
  auto excludes = unwanted_.find(to_exclude, excludes_, steps_);
  if (!excludes) return false;
  entries_.excludes = std::move(*excludes);
  return true;
}

bool EntrySearch::add(Cube include, const PointSet& open, const PointSet& to_exclude,
                      unsigned includes, const Partners& partners) {
  entries_.includes.push_back(include);
  if (search(open - include.points(), to_exclude, includes - 1, partners)) return true;
  entries_.includes.pop_back();
  return false;
}

bool EntrySearch::search(const PointSet& open, const PointSet& to_exclude, unsigned includes,
                         const Partners& partners) {
  if (open.empty()) return finish(to_exclude);
  if (includes == 0) return false;
  if (includes == 1) {
    const Cube last = smallest_cube(open);
    const PointSet excluded = to_exclude | (last.points() - wanted_points_);
    return can_exclude(excluded) && add(last, open, excluded, 1, partners);
  }

  const std::vector<Point> points = hard_points(open);
  Partners now = partners;
  find_partners(points, to_exclude, partners, now);
  const auto loneliest = loneliest_of(points, now, includes);
  if (!loneliest) return false;
  for (const Choice& choice : choices(*loneliest, open, to_exclude, now[*loneliest])) {
    if (add(choice.include, open, choice.to_exclude, includes, now)) return true;
    if (steps_.spent()) return false;
  }
  return false;
}

std::optional<Point> EntrySearch::loneliest_of(const std::vector<Point>& points,
                                               const Partners& partners, unsigned includes) {
  PointSet rest;
  for (const Point p : points) rest.insert(p);
  const auto loneliest = [&] {
    Point found = rest.first();
    unsigned fewest = (partners[found] & rest).size();
    rest.for_each([&](Point p) {
      const unsigned partners_left = (partners[p] & rest).size();
      if (partners_left >= fewest) return;
      fewest = partners_left;
      found = p;
    });
    return found;
  };
  const Point first = loneliest();
  for (unsigned apart = 0; !rest.empty(); ++apart) {
    if (apart == includes) return std::nullopt;
    const Point p = loneliest();
    rest -= partners[p];
    rest.erase(p);
  }
  return first;
}

std::vector<Point> EntrySearch::hard_points(const PointSet& open) const {
  std::vector<Point> points;
  for (const Point p : wanted_.hardest_first()) {
    if (!open.contains(p)) continue;
    points.push_back(p);
    if (points.size() == kMostInPairs) break;
  }
  return points;
}

void EntrySearch::find_partners(const std::vector<Point>& points, const PointSet& to_exclude,
                                const Partners& before, Partners& now) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const Point a = points[i];
      const Point b = points[k];
      if (!before[a].contains(b)) continue;
      const PointSet between =
          cube_around(a, static_cast<std::uint8_t>(a ^ b)).points() - wanted_points_;
      if (between.within(to_exclude) || can_exclude(to_exclude | between)) continue;
      now[a].erase(b);
      now[b].erase(a);
    }
  }
}

std::vector<EntrySearch::Choice> EntrySearch::choices(Point p, const PointSet& open,
                                                      const PointSet& to_exclude,
                                                      const PointSet& partners) {
  std::vector<Choice> all;
  // All subsets of the directions.
  for (unsigned free = directions_;; free = (free - 1) & directions_) {
    const Cube cube = cube_around(p, static_cast<std::uint8_t>(free));
    const PointSet points = cube.points();
    const PointSet covers = points & open;
    if (covers.within(partners) && smallest_cube(covers) == cube) {
      const PointSet excluded = to_exclude | (points - wanted_points_);
      // One that covers more and excludes no more is better, whatever comes after.
      bool dominated = false;
      for (unsigned bit = 0; bit < kDimensions && !dominated; ++bit) {
        const unsigned direction = 1U << bit & directions_ & ~free;
        if (direction == 0) continue;
        const PointSet grown = points | points.flipped(bit);
        dominated = (grown & open) != covers && (grown - wanted_points_).within(excluded);
      }
      if (!dominated && can_exclude(excluded)) all.push_back({cube, covers, excluded});
    }
    if (free == 0) break;
  }
  std::ranges::stable_sort(all, [](const Choice& a, const Choice& b) {
    if (a.covers.size() != b.covers.size()) return a.covers.size() > b.covers.size();
    return a.to_exclude.size() < b.to_exclude.size();
  });
  return all;
}

}  // namespace vpmu::policy
