// SPDX-License-Identifier: MIT
#include "machine/x86/identity.hpp"

#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using silicon::RawEvent;

constexpr std::uint8_t kHlt = 0xf4;
const Bytes kSyscall = {0x0f, 0x05}, kSysret = {0x0f, 0x07}, kSysenter = {0x0f, 0x34},
            kSysexit = {0x0f, 0x35};
constexpr std::uint64_t kTarget = 0x30000, kCompatTarget = 0x31000, kLegacyTarget = 0x32000;

TEST(Identity, IsThatOfTheModel) {
  const Identity skylake = identity_of(*silicon::x86::find_cpu_model("skylake-server"));
  EXPECT_EQ(skylake.vendor, Vendor::kIntel);
  EXPECT_EQ(skylake.signature, 0x50654U);
  EXPECT_TRUE(skylake.tsx);
  const Identity zen4 = identity_of(*silicon::x86::find_cpu_model("zen4"));
  EXPECT_EQ(zen4.vendor, Vendor::kAmd);
  EXPECT_EQ(zen4.signature, 0xa10f11U);
  EXPECT_FALSE(zen4.tsx);
}

TEST(Identity, SignatureIsInEdxAfterResetAndInit) {
  TestCpu t;
  t.core().identity.signature = 0x830f10;
  t.cpu.reset();
  EXPECT_EQ(t.core().gpr[kRdx], 0x830f10U);
  t.core().gpr[kRdx] = 0;
  t.cpu.init();
  EXPECT_EQ(t.core().gpr[kRdx], 0x830f10U);
}

// ---- System calls -------------------------------------------------------------------------------

struct SystemCalls : testing::Test {
  TestCpu t;
  Core& core = t.core();

  void SetUp() override {
    for (const std::uint64_t at : {kTarget, kCompatTarget, kLegacyTarget}) t.put(at, kHlt);
  }
  void set_msrs() {
    core.star = std::uint64_t{kUserCode32} << 48 | std::uint64_t{kCode64} << 32 | kLegacyTarget;
    core.lstar = kTarget;
    core.cstar = kCompatTarget;
    core.sfmask = kIf;
    core.sysenter_cs = kCode64;
    core.sysenter_eip = kTarget;
    core.sysenter_esp = kKernelStack;
  }
  void start_64(Vendor vendor, unsigned cpl) {
    core.identity.vendor = vendor;
    t.start_long_mode(cpl);
    set_msrs();
  }
  void start_compatibility(Vendor vendor, unsigned cpl) {
    start_64(vendor, cpl);
    const std::uint16_t selector = cpl == 0 ? kCode32 : kUserCode32;
    core.segment[kCs] =
        TestCpu::segment_of(selector, 11, static_cast<std::uint8_t>(cpl), false, true);
    t.cpu.state_changed();
  }
  void start_protected(Vendor vendor, unsigned cpl) {
    core.identity.vendor = vendor;
    t.start_protected_mode(cpl);
    set_msrs();
    core.star = std::uint64_t{kUserCode32} << 48 | std::uint64_t{kCode32} << 32 | kLegacyTarget;
    core.efer = kEferSce;
  }
  void run(const Bytes& code) {
    t.code_pages.written(kCode / 4096);
    t.code(code);
    t.run();
  }
  [[nodiscard]] bool halted_at(std::uint64_t address) const {
    return core.halted && core.rip == address + 1;
  }
  [[nodiscard]] unsigned vector() {
    const auto caught = t.caught();
    return caught ? caught->vector : 256;
  }
};

TEST_F(SystemCalls, SyscallOf64BitCodeGoesToLstarOnBoth) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    start_64(vendor, 3);
    run(kSyscall);
    EXPECT_TRUE(halted_at(kTarget));
    EXPECT_EQ(core.gpr[kRcx], kCode + 2);
    EXPECT_TRUE(core.segment[kCs].long_code);
  }
}

TEST_F(SystemCalls, SyscallOfCompatibilityModeGoesToCstarOnAmd) {
  start_compatibility(Vendor::kAmd, 3);
  core.rflags |= kIf;
  run(kSyscall);
  EXPECT_TRUE(halted_at(kCompatTarget));
  EXPECT_EQ(core.gpr[kRcx], kCode + 2);
  EXPECT_EQ(core.gpr[11] & kIf, kIf);
  EXPECT_EQ(core.rflags & kIf, 0U) << "SFMASK";
  EXPECT_EQ(core.cpl, 0);
  EXPECT_TRUE(core.segment[kCs].long_code) << "the kernel is 64-bit code";
}

TEST_F(SystemCalls, SyscallAndSysretOutside64BitCodeAreUndefinedOnIntel) {
  start_compatibility(Vendor::kIntel, 3);
  run(kSyscall);
  EXPECT_EQ(vector(), kInvalidOpcode);
  start_compatibility(Vendor::kIntel, 0);
  run(kSysret);
  EXPECT_EQ(vector(), kInvalidOpcode);
  start_protected(Vendor::kIntel, 3);
  run(kSyscall);
  EXPECT_EQ(vector(), kInvalidOpcode);
}

TEST_F(SystemCalls, SyscallWithoutItsEnableIsUndefinedOnBoth) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    start_compatibility(vendor, 3);
    core.efer &= ~kEferSce;
    run(kSyscall);
    EXPECT_EQ(vector(), kInvalidOpcode);
  }
}

TEST_F(SystemCalls, SyscallInRealModeIsUndefinedOnAmd) {
  core.identity.vendor = Vendor::kAmd;
  t.start_real_mode();
  set_msrs();
  core.efer = kEferSce;
  t.put<std::uint32_t>(4 * kInvalidOpcode, 0x7000);
  t.put(0x7000, kHlt);
  t.put_bytes(0x7c00, kSyscall);
  t.run();
  EXPECT_TRUE(halted_at(0x7000));
}

TEST_F(SystemCalls, SyscallOfProtectedModeGoesToStarOnAmd) {
  start_protected(Vendor::kAmd, 3);
  core.rflags |= kIf;
  run(kSyscall);
  EXPECT_TRUE(halted_at(kLegacyTarget));
  EXPECT_EQ(core.gpr[kRcx], kCode + 2);
  EXPECT_EQ(core.rflags & kIf, 0U);
  EXPECT_EQ(core.cpl, 0);
  EXPECT_EQ(core.segment[kCs].selector, kCode32);
}

TEST_F(SystemCalls, SysretOfCompatibilityModeGoesTo32BitUserCodeOnAmd) {
  start_compatibility(Vendor::kAmd, 0);
  core.gpr[kRcx] = 0xffff'ffff'0000'0000 | kTarget;
  core.gpr[11] = 2;  // not looked at
  t.code(kSysret);
  t.run(1);
  EXPECT_EQ(core.rip, kTarget);
  EXPECT_EQ(core.cpl, 3);
  EXPECT_FALSE(core.segment[kCs].long_code);
  EXPECT_EQ(core.segment[kCs].selector, kUserCode32);
  EXPECT_EQ(core.segment[kSs].selector, kUserCode32 + 8);
  EXPECT_EQ(core.rflags & kIf, kIf);
}

TEST_F(SystemCalls, SysretOfUserCodeIsRefusedOnAmd) {
  start_compatibility(Vendor::kAmd, 3);
  run(kSysret);
  EXPECT_EQ(vector(), kGeneralProtection);
}

TEST_F(SystemCalls, SysenterAndSysexitInLongModeAreUndefinedOnAmdOnly) {
  for (const auto start : {&SystemCalls::start_64, &SystemCalls::start_compatibility}) {
    (this->*start)(Vendor::kIntel, 3);
    run(kSysenter);
    EXPECT_TRUE(halted_at(kTarget));
    (this->*start)(Vendor::kAmd, 3);
    run(kSysenter);
    EXPECT_EQ(vector(), kInvalidOpcode);
    (this->*start)(Vendor::kAmd, 0);
    run(kSysexit);
    EXPECT_EQ(vector(), kInvalidOpcode);
  }
}

TEST_F(SystemCalls, SysenterOfProtectedModeWorksOnBoth) {
  for (const Vendor vendor : {Vendor::kIntel, Vendor::kAmd}) {
    start_protected(vendor, 3);
    core.sysenter_cs = kCode32;
    run(kSysenter);
    EXPECT_TRUE(halted_at(kTarget));
    EXPECT_EQ(core.cpl, 0);
  }
}

// ---- Transactions -------------------------------------------------------------------------------

const Bytes kXbegin10 = {0xc7, 0xf8, 0x10, 0, 0, 0}, kXend = {0x0f, 0x01, 0xd5},
            kXtest = {0x0f, 0x01, 0xd6}, kXabort = {0xc6, 0xf8, 0x42};

struct Transactions : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override {
    core.identity.tsx = true;
    t.start_long_mode();
  }
  void run(const Bytes& code) {
    t.code_pages.written(kCode / 4096);
    t.code(code);
    t.run();
  }
};

TEST_F(Transactions, BeginGoesToTheFallbackWithoutAReason) {
  core.gpr[kRax] = ~std::uint64_t{0};
  set_arithmetic_flags(core, kCf | kOf);
  t.code(kXbegin10);
  t.run(1);
  EXPECT_EQ(core.rip, kCode + 6 + 0x10);
  EXPECT_EQ(core.gpr[kRax], 0U);
  EXPECT_EQ(rflags(core) & kArithmeticFlags, kCf | kOf);
  EXPECT_EQ(t.count(RawEvent::kInstructions), 1U);
  EXPECT_EQ(t.count(RawEvent::kBranches), 0U);
}

TEST_F(Transactions, BeginTakesAShortDistanceBackwards) {
  t.code({0x66, 0xc7, 0xf8, 0xf0, 0xff});
  t.run(1);
  EXPECT_EQ(core.rip, kCode + 5 - 0x10);
}

TEST_F(Transactions, BeginOf32BitCodeStaysBelowFourGigabytes) {
  t.start_protected_mode();
  t.code({0xc7, 0xf8, 0xf0, 0xff, 0xfd, 0xff});  // kCode + 6 - 0x20010
  t.run(1);
  EXPECT_EQ(core.rip, static_cast<std::uint32_t>(kCode + 6 - 0x20010));
}

TEST_F(Transactions, EndOutsideOfOneIsRefused) {
  run(kXend);
  ASSERT_TRUE(t.caught());
  EXPECT_EQ(t.caught()->vector, kGeneralProtection);
  EXPECT_EQ(t.caught()->error_code, 0U);
  EXPECT_EQ(t.caught()->rip, kCode);
}

TEST_F(Transactions, AbortOutsideOfOneDoesNothing) {
  const auto before = core.gpr;
  t.code(kXabort);
  t.run(1);
  EXPECT_EQ(core.rip, kCode + kXabort.size());
  EXPECT_EQ(core.gpr, before);
}

TEST_F(Transactions, TestSaysThatThereIsNone) {
  for (const std::uint64_t flags : {std::uint64_t{0}, kArithmeticFlags}) {
    set_arithmetic_flags(core, flags);
    t.code(kXtest);
    t.run(1);
    EXPECT_EQ(rflags(core) & kArithmeticFlags, kZf);
  }
}

TEST_F(Transactions, ElidedLockTakesItsFallbackEveryTime) {
  // mov ecx, 5
  // again: xbegin fallback; xend; jmp next
  // fallback: inc edx; xtest; jz next; hlt
  // next: dec ecx; jnz again; hlt
  core.gpr[kRdx] = 0;
  run({0xb9, 5,    0,    0,    0,                             //
       0xc7, 0xf8, 5,    0,    0,    0,    0x0f, 0x01, 0xd5,  //
       0xeb, 8,                                               //
       0xff, 0xc2, 0x0f, 0x01, 0xd6, 0x74, 1,    kHlt,        //
       0xff, 0xc9, 0x75, 0xe9, kHlt});
  EXPECT_EQ(core.gpr[kRdx], 5U);
  EXPECT_EQ(core.gpr[kRcx], 0U);
  EXPECT_EQ(core.rip, kCode + 29);
  EXPECT_FALSE(t.caught());
}

TEST_F(Transactions, AreUndefinedOnModelsWithoutThem) {
  for (const Bytes& code : {kXbegin10, kXend, kXtest, kXabort}) {
    core.identity.tsx = false;
    t.start_long_mode();
    run(code);
    ASSERT_TRUE(t.caught());
    EXPECT_EQ(t.caught()->vector, kInvalidOpcode);
    EXPECT_EQ(t.caught()->rip, kCode);
  }
}

}  // namespace
}  // namespace vpmu::machine::x86
