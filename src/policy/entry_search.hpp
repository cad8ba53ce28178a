// SPDX-License-Identifier: MIT
//
// Is there a way to say `wanted` with so many includes and so many excludes? Exhaustive.
//
// An exclude may cover anything but wanted points, so it can be as large as the unwanted points
// leave room. An include may cover unwanted points as well, which then must be excluded; it can be
// as small as the wanted points ask that only it covers. So the search chooses includes, one after
// the other, each the smallest cube of some wanted points that have none yet, and notes what must
// be excluded therefore. It goes back when
//   - these unwanted points need more excludes than there may be (Cover::at_least), or
//   - there are more wanted points without include than includes left, no two of which can have one
//     together without needing more excludes than there may be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "policy/cover.hpp"
#include "policy/cube.hpp"
#include "policy/steps.hpp"

namespace vpmu::policy {

/// A union of cubes minus a union of cubes.
struct Entries {
  std::vector<Cube> includes;
  std::vector<Cube> excludes;
  [[nodiscard]] std::size_t size() const { return includes.size() + excludes.size(); }
};

class EntrySearch {
 public:
  /// `unwanted` covers what entries may cover beside `wanted`: what lies in neither does not
  /// matter. `wanted` is not empty. Both, and `steps`, outlive the search.
  EntrySearch(const Cover& wanted, const PointSet& wanted_points, const Cover& unwanted,
              Steps& steps);

  /// With at most so many. None: there is no way, unless the steps are spent.
  std::optional<Entries> find(unsigned includes, unsigned excludes);

 private:
  /// Of each wanted point: those that might have an include together with it.
  using Partners = std::array<PointSet, 256>;
  struct Choice {
    Cube include;
    PointSet covers;
    PointSet to_exclude;
  };

  bool search(const PointSet& open, const PointSet& to_exclude, unsigned includes,
              const Partners& partners);
  bool finish(const PointSet& to_exclude);
  bool add(Cube include, const PointSet& open, const PointSet& to_exclude, unsigned includes,
           const Partners& partners);
  [[nodiscard]] bool can_exclude(const PointSet& points);
  void find_partners(const std::vector<Point>& points, const PointSet& to_exclude,
                     const Partners& before, Partners& now);
  /// The one that has the fewest partners among them. None: too many have none among each other.
  static std::optional<Point> loneliest_of(const std::vector<Point>& points,
                                           const Partners& partners, unsigned includes);
  [[nodiscard]] std::vector<Point> hard_points(const PointSet& open) const;
  std::vector<Choice> choices(Point p, const PointSet& open, const PointSet& to_exclude,
                              const PointSet& partners);

  const Cover& wanted_;
  PointSet wanted_points_;
  const Cover& unwanted_;
  Steps& steps_;
  std::uint8_t directions_;  ///< in which wanted points differ
  unsigned excludes_ = 0;
  Entries entries_;
};

}  // namespace vpmu::policy
