// SPDX-License-Identifier: MIT
#include "machine/arm64/core.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

TEST(CoreTest, AResetLeavesNothingButTheIdentity) {
  Core core;
  core.identity.index = 3;
  core.el = ExceptionLevel::kEl0;
  core.sctlr |= Sctlr::kM.kMask;
  core.daif = 0;
  core.vbar = 0x8000;
  Core fresh;
  fresh.identity.index = 3;

  reset(core);

  EXPECT_EQ(core, fresh);
}

TEST(CoreTest, AfterAResetEl1HasItsOwnStackAndEverythingIsMasked) {
  const Core core;

  EXPECT_EQ(core.el, ExceptionLevel::kEl1);
  EXPECT_EQ(core.stack_in_use(), 1U);
  EXPECT_EQ(core.daif, kMaskAll);
  EXPECT_EQ(core.control().get(Sctlr::kM), 0U);
  EXPECT_TRUE(core.os_lock);
}

TEST(CoreTest, PstateIsLaidOutAsSpsr) {
  struct Row {
    const char* name;
    void (*set)(Core&);
    std::uint64_t bits;
  };
  constexpr Row kRows[] = {
      {"EL1h", [](Core&) {}, 0b0101},
      {"EL1t", [](Core& core) { core.sp_select = false; }, 0b0100},
      {"EL0t", [](Core& core) { core.el = ExceptionLevel::kEl0; }, 0b0000},
      {"D", [](Core& core) { core.daif = kMaskDebug; }, 1 << 9 | 0b0101},
      {"A", [](Core& core) { core.daif = kMaskSError; }, 1 << 8 | 0b0101},
      {"I", [](Core& core) { core.daif = kMaskIrq; }, 1 << 7 | 0b0101},
      {"F", [](Core& core) { core.daif = kMaskFiq; }, 1 << 6 | 0b0101},
      {"IL", [](Core& core) { core.il = true; }, 1 << 20 | 0b0101},
      {"SS", [](Core& core) { core.ss = true; }, 1 << 21 | 0b0101},
      {"PAN", [](Core& core) { core.pan = true; }, 1 << 22 | 0b0101},
  };
  for (const Row& row : kRows) {
    Core core;
    core.daif = 0;
    row.set(core);
    EXPECT_EQ(pstate(core, 0), row.bits) << row.name;
    EXPECT_EQ(pstate(core, 0xf000'0000), row.bits | 0xf000'0000) << row.name;
  }
}

TEST(CoreTest, FpIsTrappedAsCpacrSays) {
  struct Row {
    std::uint64_t fpen;
    bool el0, el1;
  };
  constexpr Row kRows[] = {{0, true, true}, {1, true, false}, {2, true, true}, {3, false, false}};
  for (const Row& row : kRows) {
    Core core;
    core.cpacr = row.fpen << 20;
    EXPECT_EQ(fp_trapped(core), row.el1) << row.fpen;
    core.el = ExceptionLevel::kEl0;
    EXPECT_EQ(fp_trapped(core), row.el0) << row.fpen;
  }
}

TEST(CoreTest, TagsAreIgnoredByHalf) {
  constexpr std::uint64_t kLower = 0x12ULL << 56, kUpper = kLower | 1ULL << 55;
  Core core;
  EXPECT_FALSE(tag_ignored(core, kLower) || tag_ignored(core, kUpper));
  core.tcr = Tcr::kTbi0.kMask;
  EXPECT_TRUE(tag_ignored(core, kLower) && !tag_ignored(core, kUpper));
  core.tcr = Tcr::kTbi1.kMask;
  EXPECT_TRUE(!tag_ignored(core, kLower) && tag_ignored(core, kUpper));
}

}  // namespace
}  // namespace vpmu::machine::arm64
