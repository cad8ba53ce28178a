// SPDX-License-Identifier: MIT
//
// Which instructions and accesses breakpoints and watchpoints match (D2.9, D2.10).
#include "machine/arm64/breakpoints.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

constexpr auto kEl0 = ExceptionLevel::kEl0;
constexpr auto kEl1 = ExceptionLevel::kEl1;

constexpr std::uint64_t kEnable = 1, kForEl1 = 1 << 1, kForEl0 = 2 << 1, kForBoth = 3 << 1,
                        kLoads = 1 << 3, kStores = 2 << 3, kAllBytes = 0xff << 5;
constexpr std::uint64_t kPc = 0x40'1234, kUpperTag = 0x5aULL << 56;

constexpr std::uint64_t type(std::uint64_t bt) {
  return bt << 20;
}
constexpr std::uint64_t link(std::uint64_t n) {
  return n << 16;
}
constexpr std::uint64_t mask(std::uint64_t bits) {
  return bits << 24;
}

struct BreakpointsTest : testing::Test {
  BreakpointsTest() {
    core.os_lock = false;
    core.daif = 0;
    core.mdscr = Mdscr::kMde.kMask | Mdscr::kKde.kMask;
  }
  void watch(std::uint64_t value, std::uint64_t control) {
    core.watchpoints[2] = {value, control | kEnable | kForBoth};
  }
  [[nodiscard]] std::optional<std::uint64_t> watched(std::uint64_t address, std::uint64_t bytes,
                                                     MemoryUse use = MemoryUse::kRead) const {
    return watchpoint_at(core, {address, bytes, use, core.el});
  }
  Core core;
};

TEST_F(BreakpointsTest, AnInstructionIsMatchedAtTheLevelsThatAreSelected) {
  struct Row {
    std::uint64_t control;
    bool el0, el1;
  };
  constexpr Row kRows[] = {
      {kEnable, false, false},
      {kEnable | kForEl1, false, true},
      {kEnable | kForEl0, true, false},
      {kEnable | kForBoth, true, true},
      {kForBoth, false, false},
      {kEnable | kForBoth | 1 << 13, false, false},  // HMC: there is no EL2
      {kEnable | kForBoth | 1 << 14, false, false},  // SSC: there is no EL3
  };
  for (const Row& row : kRows) {
    core.breakpoints[3] = {kPc, row.control};
    for (const ExceptionLevel el : {kEl0, kEl1}) {
      core.el = el;
      const bool wanted = el == kEl0 ? row.el0 : row.el1;
      EXPECT_EQ(breakpoint_at(core, kPc), wanted) << row.control;
      EXPECT_EQ(breakpoints_armed(core), wanted) << row.control;
      EXPECT_FALSE(breakpoint_at(core, kPc + 4));
    }
  }
}

TEST_F(BreakpointsTest, NothingMatchesWhileDebugExceptionsAreOff) {
  struct Row {
    const char* name;
    ExceptionLevel el;
    void (*change)(Core&);
    bool matches;
  };
  constexpr Row kRows[] = {
      {"as it is", kEl1, [](Core&) {}, true},
      {"the OS lock", kEl0, [](Core& changed) { changed.os_lock = true; }, false},
      {"MDE", kEl0, [](Core& changed) { changed.mdscr = Mdscr::kKde.kMask; }, false},
      {"KDE at EL1", kEl1, [](Core& changed) { changed.mdscr = Mdscr::kMde.kMask; }, false},
      {"KDE at EL0", kEl0, [](Core& changed) { changed.mdscr = Mdscr::kMde.kMask; }, true},
      {"D at EL1", kEl1, [](Core& changed) { changed.daif = kMaskDebug; }, false},
      {"D at EL0", kEl0, [](Core& changed) { changed.daif = kMaskDebug; }, true},
  };
  core.breakpoints[0] = {kPc, kEnable | kForBoth};
  watch(0x1000, kLoads | kAllBytes);
  const Core before = core;
  for (const Row& row : kRows) {
    core = before;
    core.el = row.el;
    row.change(core);
    EXPECT_EQ(breakpoint_at(core, kPc), row.matches) << row.name;
    EXPECT_EQ(breakpoints_armed(core), row.matches) << row.name;
    EXPECT_EQ(watched(0x1000, 1).has_value(), row.matches) << row.name;
    EXPECT_EQ(watchpoints_armed(core), row.matches) << row.name;
  }
}

TEST_F(BreakpointsTest, TagsAreNotComparedWhereTheyAreIgnored) {
  core.breakpoints[0] = {kPc, kEnable | kForBoth};
  watch(0x1000, kLoads | kAllBytes);
  EXPECT_FALSE(breakpoint_at(core, kUpperTag | kPc));
  EXPECT_FALSE(watched(kUpperTag | 0x1000, 1));
  core.tcr = Tcr::kTbi0.kMask;
  EXPECT_TRUE(breakpoint_at(core, kUpperTag | kPc));
  EXPECT_TRUE(watched(kUpperTag | 0x1000, 1));
}

TEST_F(BreakpointsTest, TheLastBreakpointKnowsContexts) {
  core.contextidr = 0x77;
  core.breakpoints[5] = {0xffff'ffff'0000'0077, kEnable | kForBoth | type(2)};
  EXPECT_TRUE(breakpoint_at(core, kPc)) << "any instruction of the context";
  core.contextidr = 0x78;
  EXPECT_FALSE(breakpoint_at(core, kPc));
  core.breakpoints[4] = {0x78, kEnable | kForBoth | type(2)};
  EXPECT_FALSE(breakpoint_at(core, kPc)) << "others do not";
}

TEST_F(BreakpointsTest, AddressesCanBeLinkedToAContext) {
  core.contextidr = 0x77;
  core.breakpoints[0] = {kPc, kEnable | kForBoth | type(1) | link(5)};
  EXPECT_FALSE(breakpoint_at(core, kPc)) << "linked to what is not enabled";
  core.breakpoints[5] = {0x77, kEnable | type(3)};
  EXPECT_TRUE(breakpoint_at(core, kPc));
  EXPECT_FALSE(breakpoint_at(core, kPc + 4));
  core.contextidr = 0x78;
  EXPECT_FALSE(breakpoint_at(core, kPc));
  core.contextidr = 0x77;
  core.breakpoints[0].control = kEnable | kForBoth | type(1) | link(4);
  EXPECT_FALSE(breakpoint_at(core, kPc)) << "that one knows no contexts";

  watch(0x1000, kLoads | kAllBytes | 1 << 20 | link(5));
  EXPECT_TRUE(watched(0x1000, 1));
  core.contextidr = 0x78;
  EXPECT_FALSE(watched(0x1000, 1));
}

TEST_F(BreakpointsTest, LoadsAndStoresAreWatchedApart) {
  watch(0x1000, kLoads | kAllBytes);
  EXPECT_TRUE(watched(0x1000, 8, MemoryUse::kRead));
  EXPECT_FALSE(watched(0x1000, 8, MemoryUse::kWrite));
  watch(0x1000, kStores | kAllBytes);
  EXPECT_FALSE(watched(0x1000, 8, MemoryUse::kRead));
  EXPECT_TRUE(watched(0x1000, 8, MemoryUse::kWrite));
}

TEST_F(BreakpointsTest, TheBytesThatAreSelectedAreWatched) {
  struct Row {
    std::uint64_t value, bytes;
    std::uint64_t first, last;  ///< watched
  };
  constexpr Row kRows[] = {
      {0x1000, 0xff, 0x1000, 0x1007}, {0x1000, 0x02, 0x1001, 0x1001},
      {0x1000, 0xc0, 0x1006, 0x1007}, {0x1004, 0x0f, 0x1004, 0x1007},
      {0x1004, 0x04, 0x1006, 0x1006},
  };
  for (const Row& row : kRows) {
    watch(row.value, kLoads | row.bytes << 5);
    for (std::uint64_t address = 0xff0; address < 0x1020; ++address) {
      const bool wanted = address >= row.first && address <= row.last;
      EXPECT_EQ(watched(address, 1).has_value(), wanted) << std::hex << address;
    }
    EXPECT_EQ(watched(0xff0, 64), row.first) << "the first byte that is";
  }
}

TEST_F(BreakpointsTest, AMaskWatchesAPowerOfTwo) {
  watch(0x1000, kLoads | kAllBytes | mask(12));
  EXPECT_FALSE(watched(0xfff, 1));
  EXPECT_EQ(watched(0xff8, 16), 0x1000U);
  EXPECT_TRUE(watched(0x1fff, 1));
  EXPECT_FALSE(watched(0x2000, 1));
  for (const std::uint64_t reserved : {1, 2}) {
    watch(0x1000, kLoads | kAllBytes | mask(reserved));
    EXPECT_FALSE(watched(0x1000, 1));
  }
}

TEST_F(BreakpointsTest, El1sAccessesWithEl0sRightsAreEl0s) {
  core.watchpoints[0] = {0x1000, kEnable | kForEl0 | kLoads | kAllBytes};
  EXPECT_TRUE(watchpoints_armed(core));
  EXPECT_FALSE(watchpoint_at(core, {0x1000, 8, MemoryUse::kRead, kEl1}));
  EXPECT_TRUE(watchpoint_at(core, {0x1000, 8, MemoryUse::kRead, kEl0}));
}

}  // namespace
}  // namespace vpmu::machine::arm64
