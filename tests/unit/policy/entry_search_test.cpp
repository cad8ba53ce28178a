// SPDX-License-Identifier: MIT
#include "policy/entry_search.hpp"

#include <random>

#include <gtest/gtest.h>

#include "policy/good_entries.hpp"

namespace vpmu::policy {
namespace {

constexpr std::uint64_t kSteps = 10'000;

PointSet said_by(const Entries& entries) {
  PointSet said;
  for (const Cube include : entries.includes) said |= include.points();
  for (const Cube exclude : entries.excludes) said -= exclude.points();
  return said;
}

struct Problem {
  explicit Problem(const PointSet& points) : wanted{points} {}

  PointSet wanted;
  Cover wanted_cover{wanted};
  Cover unwanted_cover{smallest_cube(wanted).points() - wanted};

  [[nodiscard]] std::optional<Entries> find(unsigned includes, unsigned excludes) const {
    Steps steps{kSteps};
    EntrySearch search{wanted_cover, wanted, unwanted_cover, steps};
    auto found = search.find(includes, excludes);
    EXPECT_FALSE(steps.spent());
    return found;
  }
  [[nodiscard]] bool can(unsigned includes, unsigned excludes) const {
    const auto found = find(includes, excludes);
    if (!found) return false;
    EXPECT_EQ(said_by(*found), wanted);
    EXPECT_LE(found->includes.size(), includes);
    EXPECT_LE(found->excludes.size(), excludes);
    return true;
  }
};

/// Of three bits, all but 7.
Problem all_but_one() {
  return Problem{Cube{0xf8, 0}.points() - Cube{0xff, 7}.points()};
}

TEST(EntrySearch, FindsAnIncludeForAllAndAnExcludeForTheRest) {
  EXPECT_TRUE(all_but_one().can(1, 1));
  EXPECT_FALSE(all_but_one().can(1, 0));
}

TEST(EntrySearch, WithoutExcludesIncludesCoverNothingElse) {
  // Each bit clear once: 3, 5 and 6 have no include in common.
  EXPECT_FALSE(all_but_one().can(2, 0));
  EXPECT_TRUE(all_but_one().can(3, 0));
}

TEST(EntrySearch, MoreThanNeededDoNoHarm) {
  EXPECT_TRUE(all_but_one().can(5, 5));
}

TEST(EntrySearch, WithoutIncludesThereIsNothing) {
  EXPECT_FALSE(all_but_one().can(0, 9));
}

TEST(EntrySearch, TellsThatTheStepsAreSpent) {
  const Problem problem = all_but_one();
  Steps steps{0};
  EntrySearch search{problem.wanted_cover, problem.wanted, problem.unwanted_cover, steps};
  EXPECT_FALSE(search.find(1, 1).has_value());
  EXPECT_TRUE(steps.spent());
}

TEST(GoodEntries, SayWhatIsWantedAndTheSameEveryTime) {
  std::mt19937 random;  // NOLINT(cert-msc32-c,cert-msc51-cpp): always the same sets
  for (const unsigned one_in : {2U, 8U, 40U}) {
    PointSet wanted;
    wanted.insert(0x11);
    for (unsigned p = 0; p < 256; ++p) {
      if (random() % one_in == 0) wanted.insert(static_cast<Point>(p));
    }
    const Problem problem{wanted};
    const auto once = good_entries(problem.wanted_cover, wanted, problem.unwanted_cover, 100);
    const auto again = good_entries(problem.wanted_cover, wanted, problem.unwanted_cover, 100);
    EXPECT_EQ(said_by(once), wanted);
    EXPECT_EQ(once.includes, again.includes);
    EXPECT_EQ(once.excludes, again.excludes);
    EXPECT_LE(once.size(), wanted.size());
  }
}

}  // namespace
}  // namespace vpmu::policy
