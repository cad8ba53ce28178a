// SPDX-License-Identifier: MIT
//
// The debug registers against D13.3.
#include "machine/arm64/debug_registers.hpp"

#include <gtest/gtest.h>

namespace vpmu::machine::arm64 {
namespace {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr SystemRegister kMdscr = system_register(2, 0, 0, 2, 2),
                         kOslar = system_register(2, 0, 1, 0, 4),
                         kOslsr = system_register(2, 0, 1, 1, 4),
                         kClaimSet = system_register(2, 0, 7, 8, 6),
                         kClaimClear = system_register(2, 0, 7, 9, 6);

struct Row {
  const char* name;
  SystemRegister reg;
  std::uint64_t ones;  ///< what it reads after all ones have been written
};

struct DebugRegistersTest : testing::Test {
  Access read(SystemRegister reg) const { return read_debug_register(core, reg); }
  Access write(SystemRegister reg, std::uint64_t value) {
    return write_debug_register(core, reg, value);
  }
  void expect_bits(const Row& row) {
    EXPECT_TRUE(write(row.reg, 0).is_done()) << row.name;
    EXPECT_EQ(read(row.reg), Access::done(0)) << row.name;
    EXPECT_TRUE(write(row.reg, kAll).is_done()) << row.name;
    EXPECT_EQ(read(row.reg), Access::done(row.ones)) << row.name;
  }
  Core core;
};

TEST_F(DebugRegistersTest, EachHasTheBitsOfTheManual) {
  constexpr Row kRows[] = {
      {"OSDTRRX_EL1", system_register(2, 0, 0, 0, 2), 0xffff'ffff},
      {"MDCCINT_EL1", system_register(2, 0, 0, 2, 0), 3 << 29},
      {"OSDTRTX_EL1", system_register(2, 0, 0, 3, 2), 0xffff'ffff},
      {"OSECCR_EL1", system_register(2, 0, 0, 6, 2), 0xffff'ffff},
      {"OSDLR_EL1", system_register(2, 0, 1, 3, 4), 0},
      {"DBGPRCR_EL1", system_register(2, 0, 1, 4, 4), 0},
      {"DBGDTR_EL0", system_register(2, 3, 0, 4, 0), 0},
      {"DBGDTRRX_EL0", system_register(2, 3, 0, 5, 0), 0},
  };
  for (const Row& row : kRows) expect_bits(row);
}

TEST_F(DebugRegistersTest, ThereAreSixBreakpointsAndFourWatchpoints) {
  for (unsigned n = 0; n < 16; ++n) {
    const Row breakpoint[] = {
        {"DBGBVR", system_register(2, 0, 0, n, 4), kAll},
        {"DBGBCR", system_register(2, 0, 0, n, 5), 0x00ff'e1e7},
    };
    const Row watchpoint[] = {
        {"DBGWVR", system_register(2, 0, 0, n, 6), ~std::uint64_t{3}},
        {"DBGWCR", system_register(2, 0, 0, n, 7), 0x1f1f'ffff},
    };
    for (const Row& row : breakpoint) {
      if (n < 6) {
        expect_bits(row);
      } else {
        EXPECT_TRUE(read(row.reg).is_fault() && write(row.reg, 0).is_fault()) << n;
      }
    }
    for (const Row& row : watchpoint) {
      if (n < 4) {
        expect_bits(row);
      } else {
        EXPECT_TRUE(read(row.reg).is_fault() && write(row.reg, 0).is_fault()) << n;
      }
    }
  }
}

TEST_F(DebugRegistersTest, EachPairIsOneOfItsOwn) {
  for (unsigned n = 0; n < 6; ++n)
    ASSERT_TRUE(write(system_register(2, 0, 0, n, 4), 4 * n).is_done());
  for (unsigned n = 0; n < 4; ++n) ASSERT_TRUE(write(system_register(2, 0, 0, n, 7), n).is_done());
  for (unsigned n = 0; n < 6; ++n) EXPECT_EQ(core.breakpoints[n].value, 4 * n);
  for (unsigned n = 0; n < 4; ++n) EXPECT_EQ(core.watchpoints[n].control, n);
}

TEST_F(DebugRegistersTest, TheOsLockIsLockedAfterAResetAndShows) {
  constexpr std::uint64_t kImplemented = 8, kLocked = 2;
  EXPECT_EQ(read(kOslsr), Access::done(kImplemented | kLocked));
  EXPECT_TRUE(write(kOslar, 0).is_done());
  EXPECT_EQ(read(kOslsr), Access::done(kImplemented));
  EXPECT_TRUE(write(kOslar, 1).is_done());
  EXPECT_TRUE(core.os_lock);
  EXPECT_TRUE(read(kOslar).is_fault());
  EXPECT_TRUE(write(kOslsr, 0).is_fault());
}

TEST_F(DebugRegistersTest, ADebuggersStateIsWrittenWhileLockedOnly) {
  constexpr std::uint64_t kAlways = 1 << 0 | 1 << 12 | 1 << 13 | 1 << 15;
  constexpr std::uint64_t kDebuggers =
      1 << 6 | 1 << 14 | 1 << 21 | 3 << 22 | 3 << 26 | std::uint64_t{3} << 29;
  EXPECT_TRUE(write(kMdscr, kAll).is_done());
  EXPECT_EQ(read(kMdscr), Access::done(kAlways | kDebuggers));

  core.os_lock = false;
  EXPECT_TRUE(write(kMdscr, 0).is_done());
  EXPECT_EQ(read(kMdscr), Access::done(kDebuggers));
}

TEST_F(DebugRegistersTest, ClaimTagsAreSetAndCleared) {
  EXPECT_EQ(read(kClaimSet), Access::done(0xff));
  EXPECT_TRUE(write(kClaimSet, 0x1f0).is_done());
  EXPECT_TRUE(write(kClaimSet, 0x003).is_done());
  EXPECT_EQ(read(kClaimClear), Access::done(0xf3));
  EXPECT_TRUE(write(kClaimClear, 0x31).is_done());
  EXPECT_EQ(read(kClaimClear), Access::done(0xc2));
}

TEST_F(DebugRegistersTest, SomeCanOnlyBeRead) {
  constexpr Row kRows[] = {
      {"MDRAR_EL1", system_register(2, 0, 1, 0, 0), 0},
      {"DBGAUTHSTATUS_EL1", system_register(2, 0, 7, 14, 6), 0xa},
      {"MDCCSR_EL0", system_register(2, 3, 0, 1, 0), 0},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(read(row.reg), Access::done(row.ones)) << row.name;
    EXPECT_TRUE(write(row.reg, 0).is_fault()) << row.name;
  }
}

TEST_F(DebugRegistersTest, El0HasTheChannelUnlessTrapped) {
  core.el = ExceptionLevel::kEl0;
  constexpr SystemRegister kStatus = system_register(2, 3, 0, 1, 0);
  constexpr SystemRegister kData = system_register(2, 3, 0, 4, 0);
  EXPECT_TRUE(read(kMdscr).is_fault());
  EXPECT_TRUE(write(kOslar, 0).is_fault());
  EXPECT_TRUE(read(kStatus).is_done());
  EXPECT_TRUE(write(kData, 0).is_done());
  core.mdscr = Mdscr::kTdcc.kMask;
  EXPECT_TRUE(read(kStatus).is_trap());
  EXPECT_TRUE(write(kData, 0).is_trap());
  core.el = ExceptionLevel::kEl1;
  EXPECT_TRUE(read(kStatus).is_done());
}

}  // namespace
}  // namespace vpmu::machine::arm64
