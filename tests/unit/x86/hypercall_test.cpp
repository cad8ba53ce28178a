// SPDX-License-Identifier: MIT
//
// VMCALL and VMMCALL: what of them gets to the environment, and what of its answer to the guest.
#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using Instruction = Hypercall::Instruction;

const Bytes kVmcall = {0x0f, 0x01, 0xc1, 0xf4}, kVmmcall = {0x0f, 0x01, 0xd9, 0xf4};

struct Hypercalls : testing::Test {
  TestCpu t;
  Core& core = t.core();

  /// Makes the call with all registers' bits in use, up to the HLT behind it.
  Hypercall call(const Bytes& code, Access result) {
    t.environment.hypercalls.clear();
    t.environment.hypercall_result = result;
    t.code(code);
    core.gpr[kRax] = 0x1111'2222'3333'4444;
    core.gpr[kRbx] = 0x5555'6666'7777'8888;
    core.gpr[kRcx] = 0x9999'aaaa'bbbb'cccc;
    core.gpr[kRdx] = 0xdddd'eeee'ffff'0000;
    core.gpr[kRsi] = 0x0123'4567'89ab'cdef;
    t.run();
    EXPECT_EQ(t.environment.hypercalls.size(), 1u);
    return t.environment.hypercalls.empty() ? Hypercall{} : t.environment.hypercalls.front();
  }
};

TEST_F(Hypercalls, GetToTheEnvironmentWithAllRegistersWhole) {
  t.start_long_mode();
  const Hypercall expected{.number = 0x1111'2222'3333'4444,
                           .arguments = {0x5555'6666'7777'8888, 0x9999'aaaa'bbbb'cccc,
                                         0xdddd'eeee'ffff'0000, 0x0123'4567'89ab'cdef},
                           .instruction = Instruction::kVmcall,
                           .code64 = true,
                           .user = false};
  EXPECT_EQ(call(kVmcall, Access::done()), expected);
}

TEST_F(Hypercalls, ResultIsTheWholeOfRaxAndOtherRegistersStay) {
  t.start_long_mode();
  const Hypercall made = call(kVmcall, Access::done(0xfedc'ba98'7654'3210));
  EXPECT_EQ(core.gpr[kRax], 0xfedc'ba98'7654'3210U);
  EXPECT_EQ(core.gpr[kRbx], made.arguments[0]);
  EXPECT_EQ(core.gpr[kRcx], made.arguments[1]);
  EXPECT_EQ(core.gpr[kRdx], made.arguments[2]);
  EXPECT_EQ(core.gpr[kRsi], made.arguments[3]);
  EXPECT_EQ(core.rip, kCode + kVmcall.size());
}

TEST_F(Hypercalls, ByVmcallSayThatTheyAre) {
  t.start_long_mode();
  EXPECT_EQ(call(kVmcall, Access::done()).instruction, Instruction::kVmcall);
}

TEST_F(Hypercalls, ByVmmcallSayThatTheyAre) {
  t.start_long_mode();
  EXPECT_EQ(call(kVmmcall, Access::done()).instruction, Instruction::kVmmcall);
}

TEST_F(Hypercalls, SayWhichModeTheyAreMadeIn) {
  t.start_long_mode();
  EXPECT_TRUE(call(kVmcall, Access::done()).code64);
  t.start_protected_mode();
  EXPECT_FALSE(call(kVmcall, Access::done()).code64);
  t.start_real_mode();
  const Hypercall real = call(kVmcall, Access::done());
  EXPECT_FALSE(real.code64);
  EXPECT_FALSE(real.user);
}

TEST_F(Hypercalls, OfCompatibilityModeAreNot64Bit) {
  t.start_long_mode();
  core.segment[kCs] = TestCpu::segment_of(kCode32, 11, 0, false, true);
  t.cpu.state_changed();
  EXPECT_FALSE(call(kVmcall, Access::done()).code64);
}

TEST_F(Hypercalls, OfUserCodeGetToTheEnvironmentToo) {
  // The HLT behind the call is #GP there, the answer is in RAX all the same.
  t.start_long_mode(3);
  EXPECT_TRUE(call(kVmcall, Access::done(7)).user);
  EXPECT_EQ(core.gpr[kRax], 7u);
  ASSERT_TRUE(t.caught());
  EXPECT_EQ(t.caught()->vector, unsigned{kGeneralProtection});
  EXPECT_EQ(t.caught()->rip, kCode + 3);
}

TEST_F(Hypercalls, ThatNobodyKnowsAreAnInvalidOpcode) {
  for (const unsigned cpl : {0u, 3u}) {
    t.start_long_mode(cpl);
    call(kVmcall, Access::not_mine());
    ASSERT_TRUE(t.caught());
    EXPECT_EQ(t.caught()->vector, unsigned{kInvalidOpcode});
    EXPECT_EQ(t.caught()->rip, kCode);
    EXPECT_EQ(core.gpr[kRax], 0x1111'2222'3333'4444U);
  }
}

}  // namespace
}  // namespace vpmu::machine::x86
