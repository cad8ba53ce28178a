// SPDX-License-Identifier: MIT
#include "profile/views/branch_table.hpp"

#include <gtest/gtest.h>

#include "unit/profile/views/recording.hpp"

namespace vpmu::profile {
namespace {

using namespace test;

constexpr std::uint64_t kMispredicted = 1, kPredicted = 2;
constexpr std::uint64_t cycles(std::uint64_t number) {
  return number << 4;
}

class BranchTableTest : public testing::Test {
 protected:
  BranchTable table(std::optional<std::size_t> limit = {}, double least = 0) {
    AddressSpaces spaces = recording.spaces();
    return make_branch_table(recording.profile(spaces, {.branches = true}), 0, limit, least);
  }
  Recording recording;
};

TEST_F(BranchTableTest, BranchesAreCountedByWhereTheyGo) {
  const BranchEntry loop{in('a', 0x20), in('a', 0x10), kPredicted | cycles(10)};
  const BranchEntry missed{in('a', 0x20), in('a', 0x10), kMispredicted | cycles(40)};
  const BranchEntry call{in('a', 0x30), in('b', 0), 0};
  recording.shots = {{.stack = "a", .branches = {loop, call, loop}},
                     {.stack = "b", .branches = {missed}}};
  const BranchTable found = table();
  EXPECT_EQ(found.taken, 4u);
  ASSERT_EQ(found.rows.size(), 2u);
  EXPECT_EQ(found.rows[0].from, "a+0x20");
  EXPECT_EQ(found.rows[0].to, "a+0x10");
  EXPECT_EQ(found.rows[0].taken, 3u);
  EXPECT_NEAR(*found.rows[0].mispredicted, 100.0 / 3, 1e-9);
  EXPECT_NEAR(*found.rows[0].cycles, 20, 1e-9);
  EXPECT_EQ(found.rows[1].to, "b+0x0");
  EXPECT_FALSE(found.rows[1].mispredicted) << "nothing is known of it";
  EXPECT_FALSE(found.rows[1].cycles);
}

TEST_F(BranchTableTest, LimitsHideBranches) {
  const BranchEntry often{in('a'), in('b'), 0}, rarely{in('c'), in('d'), 0};
  recording.shots = {{.stack = "a", .branches = {often, often, often, rarely}}};
  EXPECT_EQ(table(1).rows.size(), 1u);
  EXPECT_EQ(table(1).hidden, 1u);
  EXPECT_EQ(table({}, 30).rows.size(), 1u);
}

TEST_F(BranchTableTest, WithoutBranchStacksThereIsNone) {
  recording.shots = {{"a"}};
  EXPECT_EQ(table().taken, 0u);
  EXPECT_TRUE(table().rows.empty());
}

}  // namespace
}  // namespace vpmu::profile
