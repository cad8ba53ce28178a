// SPDX-License-Identifier: MIT
#include "vpmu/silicon/branch_predictor.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace vpmu::silicon {
namespace {

constexpr std::uint64_t kAt = 0x401000, kBehind = 0x401005, kElsewhere = 0x402000;

class BranchPredictorTest : public testing::Test {
 protected:
  bool mispredicts(PredictedKind kind, std::uint64_t to = kElsewhere) {
    return predictor.predict_and_train({kind, true, kAt, kBehind, to});
  }
  bool conditional_mispredicts(bool taken) {
    return predictor.predict_and_train(
        {PredictedKind::kConditional, taken, kAt, kBehind, taken ? kElsewhere : kBehind});
  }

  BranchPredictor predictor;
};

TEST_F(BranchPredictorTest, NeverMissesDirectAndFarBranches) {
  for (const PredictedKind kind :
       {PredictedKind::kDirect, PredictedKind::kCall, PredictedKind::kFar}) {
    for (std::uint64_t to = 0; to < 4; ++to) EXPECT_FALSE(mispredicts(kind, to));
  }
}

TEST_F(BranchPredictorTest, ColdConditionalBranchIsExpectedToFallThrough) {
  EXPECT_FALSE(conditional_mispredicts(false));
  EXPECT_TRUE(conditional_mispredicts(true));
}

TEST_F(BranchPredictorTest, LongLoopIsMissedWhileItWarmsUpAndWhenItEnds) {
  unsigned missed = 0;
  for (int n = 0; n < 1000; ++n) missed += conditional_mispredicts(true) ? 1 : 0;
  // Twelve bits of history fill up, and each of the counters passed learns twice.
  EXPECT_GE(missed, 1u);
  EXPECT_LE(missed, 2u * 13u);
  EXPECT_FALSE(conditional_mispredicts(true));
  EXPECT_TRUE(conditional_mispredicts(false));
}

TEST_F(BranchPredictorTest, LearnsAlternation) {
  for (int n = 0; n < 200; ++n) conditional_mispredicts(n % 2 == 0);
  for (int n = 0; n < 100; ++n) EXPECT_FALSE(conditional_mispredicts(n % 2 == 0)) << n;
}

TEST_F(BranchPredictorTest, IndirectBranchIsExpectedToGoWhereItWentLast) {
  EXPECT_TRUE(mispredicts(PredictedKind::kIndirect, 1));
  EXPECT_FALSE(mispredicts(PredictedKind::kIndirect, 1));
  EXPECT_TRUE(mispredicts(PredictedKind::kIndirect, 2));
  EXPECT_FALSE(mispredicts(PredictedKind::kIndirect, 2));
  EXPECT_FALSE(mispredicts(PredictedKind::kIndirectCall, 2));
}

TEST_F(BranchPredictorTest, ReturnsAreExpectedBehindTheirCalls) {
  EXPECT_TRUE(mispredicts(PredictedKind::kReturn, kBehind)) << "nothing was called";
  mispredicts(PredictedKind::kCall);
  EXPECT_FALSE(mispredicts(PredictedKind::kReturn, kBehind));
  mispredicts(PredictedKind::kIndirectCall);
  EXPECT_TRUE(mispredicts(PredictedKind::kReturn, kElsewhere));
}

TEST_F(BranchPredictorTest, SixteenNestedCallsAreRemembered) {
  constexpr std::uint64_t kNested = 17;
  for (std::uint64_t n = 0; n < kNested; ++n) {
    predictor.predict_and_train({PredictedKind::kCall, true, n, n + 1, kElsewhere});
  }
  const auto returns_wrong = [this](std::uint64_t to) {
    return predictor.predict_and_train({PredictedKind::kReturn, true, kAt, kBehind, to});
  };
  for (std::uint64_t n = kNested - 1; n > 0; --n) EXPECT_FALSE(returns_wrong(n + 1)) << n;
  EXPECT_TRUE(returns_wrong(1)) << "the outermost was overwritten";
}

TEST_F(BranchPredictorTest, IsDeterministicAndForgetsOnReset) {
  const auto run = [this] {
    std::vector<bool> missed;
    std::uint64_t random = 1;
    for (int n = 0; n < 2000; ++n) {
      random = random * 6364136223846793005 + 1442695040888963407;
      missed.push_back(predictor.predict_and_train({static_cast<PredictedKind>(random >> 40 & 3),
                                                    (random >> 50 & 1) != 0, random >> 60,
                                                    (random >> 60) + 1, random >> 59}));
    }
    return missed;
  };
  const std::vector<bool> first = run();
  predictor.reset();
  EXPECT_EQ(run(), first);
}

}  // namespace
}  // namespace vpmu::silicon
