// SPDX-License-Identifier: MIT
#include "machine/boot/boot_state.hpp"

#include <gtest/gtest.h>

#include "machine/x86/core.hpp"

namespace vpmu::machine::boot {
namespace {

TEST(BootState, ThirtyTwoBitEntryIsProtectedModeWithoutPaging) {
  x86::Core core;
  core.gpr.fill(7);
  core.cr4 = 7;
  BootState state;
  state.rip = 0x100000;
  state.rax = 0x2badb002;
  state.rbx = 0x9000;
  apply(state, core);
  EXPECT_EQ(core.rip, 0x100000u);
  EXPECT_EQ(core.gpr[x86::kRax], 0x2badb002u);
  EXPECT_EQ(core.gpr[x86::kRbx], 0x9000u);
  EXPECT_EQ(core.gpr[x86::kRcx], 0u);
  EXPECT_EQ(core.gpr[x86::kZeroRegister], 0u);
  EXPECT_EQ(core.cr0, x86::kCr0Pe | x86::kCr0Et);
  EXPECT_EQ(core.cr4, 0u);
  EXPECT_EQ(core.efer, 0u);
  EXPECT_EQ(core.rflags, 2u);
  const x86::Segment& code = core.segment[x86::kCs];
  EXPECT_TRUE(code.big);
  EXPECT_FALSE(code.long_code);
  EXPECT_EQ(code.limit, 0xffffffffu);
  for (const auto index : {x86::kDs, x86::kEs, x86::kSs, x86::kFs, x86::kGs}) {
    EXPECT_EQ(core.segment[index].selector, kDataSelector);
    EXPECT_EQ(core.segment[index].type, 3);
    EXPECT_TRUE(core.segment[index].present);
    EXPECT_FALSE(core.segment[index].system);
  }
}

TEST(BootState, SixtyFourBitEntryIsLongModeWithItsPageTables) {
  x86::Core core;
  BootState state;
  state.long_mode = true;
  state.cr3 = 0x5000;
  state.rsp = 0x9ff8;
  apply(state, core);
  EXPECT_TRUE(core.long_mode());
  EXPECT_EQ(core.cr3, 0x5000u);
  EXPECT_NE(core.cr0 & x86::kCr0Pg, 0u);
  EXPECT_NE(core.cr4 & x86::kCr4Pae, 0u);
  EXPECT_TRUE(core.segment[x86::kCs].long_code);
  EXPECT_FALSE(core.segment[x86::kCs].big);
  EXPECT_EQ(core.gpr[x86::kRsp], 0x9ff8u);
}

TEST(BootState, DescriptorTableAndTaskStateAreThoseThatWerePlaced) {
  x86::Core core;
  BootState state;
  state.tss = 0x7000;
  state.gdt = 0x6000;
  apply(state, core);
  EXPECT_EQ(core.tr.base, 0x7000u);
  EXPECT_EQ(core.tr.selector, kTssSelector);
  EXPECT_EQ(core.gdtr.base, 0x6000u);
  EXPECT_EQ(core.gdtr.limit, kGdtBytes - 1);
}

}  // namespace
}  // namespace vpmu::machine::boot
