// SPDX-License-Identifier: MIT
#include "machine/arm64/code_map.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "unit/arm64/code.hpp"

namespace vpmu::machine::arm64 {
namespace {

class ArmCodeMap : public testing::Test {
 protected:
  /// Compiles up to `count` NOPs from `address` on, as far as a block goes. How many.
  unsigned compile(std::uint64_t address, unsigned count) {
    map.begin(page, address);
    unsigned done = 0;
    do {
      map.append(code::kNop);
      ++done;
    } while (done < count && map.goes_on(address + done * 4));
    return done;
  }

  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(kPageBytes);
  CodeMap map;
  CodePage& page = map.add(0x5000, {.physical = 0x4000'0000, .host = bytes.data()});
};

TEST_F(ArmCodeMap, KnowsThePositionOfEachInstructionInItsBlock) {
  compile(0x5010, 5);

  for (unsigned n = 0; n < 5; ++n) EXPECT_EQ(map.instructions_before(0x5010 + n * 4), n);
  EXPECT_EQ(map.instructions_before(0x5024), 0U);
  ASSERT_NE(map.profile(0x5010), nullptr);
  EXPECT_EQ(map.profile(0x5010)->instructions, 5U);
  EXPECT_EQ(map.profile(0x5014), nullptr);
}

TEST_F(ArmCodeMap, BlocksEndWhereAnotherBegins) {
  compile(0x5020, 2);

  EXPECT_EQ(compile(0x5010, 20), 4U);
}

TEST_F(ArmCodeMap, BlocksEndWithTheirPageAndAreNotLong) {
  EXPECT_EQ(compile(0x5ff0, 20), 4U);
  EXPECT_EQ(compile(0x5000, 100), CodeMap::kLongestBlock);
}

TEST_F(ArmCodeMap, ABlockThatIsEnteredInItsMiddleIsSplit) {
  compile(0x5010, 10);
  ASSERT_FALSE(CodeMap::may_begin(page, 0x5020));

  const CodeMap::Range range = map.split(0x5020);

  EXPECT_EQ(range.begin, 0x5010U);
  EXPECT_EQ(range.bytes, 40U);
  EXPECT_TRUE(CodeMap::may_begin(page, 0x5020));
  EXPECT_EQ(map.instructions_before(0x5014), 0U);
  EXPECT_EQ(compile(0x5020, 6), 6U);
  EXPECT_EQ(compile(0x5010, 10), 4U);
}

TEST_F(ArmCodeMap, ProfilesCountLoadsStoresAndTheBranch) {
  BlockProfile profile;
  for (const std::uint32_t word :
       {code::ldr(0, 1), code::str(0, 1), code::ldp(0, 1, 2), code::b(2)})
    profile.add(word);

  EXPECT_EQ(profile, (BlockProfile{4, 2, 1, BranchKind::kDirect}));
}

TEST_F(ArmCodeMap, ForgetsAPageAndIsFullAtSomeTime) {
  compile(0x5010, 5);
  map.forget_page(0x5123);
  EXPECT_EQ(map.find(0x5010), nullptr);

  for (std::uint64_t n = 0; n < CodeMap::kMostPages; ++n) {
    ASSERT_FALSE(map.full());
    map.add(n * kPageBytes, {});
  }
  EXPECT_TRUE(map.full());
  map.clear();
  EXPECT_FALSE(map.full());
}

}  // namespace
}  // namespace vpmu::machine::arm64
