// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using silicon::RawEvent;

constexpr std::uint8_t kNop = 0x90, kHlt = 0xf4;

/// Intel SDM vol. 1 appendix B.
bool holds(unsigned code, std::uint64_t flags) {
  const bool cf = flags & kCf, zf = flags & kZf, sf = flags & kSf, of = flags & kOf,
             pf = flags & kPf;
  const bool conditions[] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};
  return conditions[code >> 1] != ((code & 1) != 0);
}

struct Control : testing::Test {
  TestCpu t;
  Core& core = t.core();
  void SetUp() override { t.start_long_mode(); }

  /// Runs one instruction of `bytes` and returns where it led, from kCode.
  std::int64_t step(const Bytes& bytes) {
    t.code(bytes);
    EXPECT_EQ(t.run(1), Cpu::Exit::kBudget);
    return static_cast<std::int64_t>(core.rip - kCode);
  }
};

TEST_F(Control, ConditionalBranchesFollowTheFlagTruthTable) {
  for (unsigned code = 0; code < 16; ++code) {
    // The short branch and the near one lie side by side; both skip 0x10 bytes.
    t.put_bytes(kCode, Bytes{static_cast<std::uint8_t>(0x70 | code), 0x10});
    t.put_bytes(kCode + 0x100, Bytes{0x0f, static_cast<std::uint8_t>(0x80 | code), 0x10, 0, 0, 0});
    t.code_pages.written(kCode / 4096);
    for (std::uint64_t flags = 0; flags < 0x1000; ++flags) {
      if (flags & ~kArithmeticFlags) continue;
      for (const bool near_form : {false, true}) {
        const std::uint64_t at = near_form ? kCode + 0x100 : kCode;
        const std::uint64_t next = at + (near_form ? 6 : 2);
        set_arithmetic_flags(core, flags);
        core.rip = at;
        t.run(1);
        ASSERT_EQ(core.rip, holds(code, flags) ? next + 0x10 : next)
            << "code " << code << " flags " << std::hex << flags;
      }
    }
  }
}

/// CMP or TEST, then Jcc, as one block: what fused Ops do is what single ones do.
TEST_F(Control, ComparisonsJoinedToTheirBranchDecideAsTheFlagsSay) {
  constexpr std::uint64_t kValues[] = {0,
                                       1,
                                       0x7fff'ffff,
                                       0x8000'0000,
                                       0xffff'ffff,
                                       0x7fff'ffff'ffff'ffff,
                                       0x8000'0000'0000'0000,
                                       0xffff'ffff'ffff'ffff};
  const Bytes compares[] = {
      {0x48, 0x39, 0xd8},           // cmp rax, rbx
      {0x39, 0xd8},                 // cmp eax, ebx
      {0x66, 0x39, 0xd8},           // cmp ax, bx
      {0x38, 0xd8},                 // cmp al, bl
      {0x48, 0x3b, 0x06},           // cmp rax, [rsi]
      {0x3b, 0x06},                 // cmp eax, [rsi]
      {0x48, 0x83, 0xf8, 0xff},     // cmp rax, -1
      {0x3d, 0, 0, 0, 0x80},        // cmp eax, 0x80000000
      {0x48, 0x85, 0xd8},           // test rax, rbx
      {0x85, 0xd8},                 // test eax, ebx
      {0x84, 0xd8},                 // test al, bl
      {0x48, 0xa9, 0, 0, 0, 0x80},  // test rax, 0xffffffff80000000
      {0x48, 0x39, 0x06},           // cmp [rsi], rax
  };
  std::uint64_t at = kCode;
  for (const Bytes& compare : compares) {
    for (unsigned code = 0; code < 16; ++code, at += 0x20) {
      Bytes bytes = compare;
      bytes.push_back(static_cast<std::uint8_t>(0x70 | code));
      bytes.push_back(8);
      t.put_bytes(at, bytes);
      const std::uint64_t next = at + bytes.size();
      for (const std::uint64_t a : kValues) {
        for (const std::uint64_t b : kValues) {
          core.gpr[kRax] = a;
          core.gpr[kRbx] = b;
          core.gpr[kRsi] = kData;
          t.put(kData, b);
          core.rip = at;
          t.run(1);
          ASSERT_EQ(core.rip, at + compare.size());
          const std::uint64_t flags = arithmetic_flags(core.lazy);
          core.rip = at;
          t.run(2);
          ASSERT_EQ(core.rip, holds(code, flags) ? next + 8 : next)
              << "compare " << std::hex << +compare[0] << " code " << code << ' ' << a << ' ' << b;
          ASSERT_EQ(arithmetic_flags(core.lazy), flags);
        }
      }
    }
  }
}

TEST_F(Control, JcxzLooksAtTheAddressSizesCounter) {
  struct Row {
    Bytes bytes;
    std::uint64_t rcx;
    bool taken;
  };
  const Row rows[] = {
      {{0xe3, 0x10}, 0, true},
      {{0xe3, 0x10}, 1, false},
      {{0xe3, 0x10}, 0x1'0000'0000, false},
      {{0x67, 0xe3, 0x10}, 0x1'0000'0000, true},
      {{0x67, 0xe3, 0x10}, 0x1'0000, false},
  };
  for (const Row& row : rows) {
    t.code_pages.written(kCode / 4096);
    core.gpr[kRcx] = row.rcx;
    EXPECT_EQ(step(row.bytes),
              static_cast<std::int64_t>(row.bytes.size()) + (row.taken ? 0x10 : 0));
    EXPECT_EQ(core.gpr[kRcx], row.rcx);
  }
}

TEST_F(Control, LoopsCountDownAndLookAtZf) {
  struct Row {
    std::uint8_t opcode;
    bool address32;
    std::uint64_t rcx, flags, left;
    bool taken;
  };
  constexpr Row kRows[] = {
      {0xe2, false, 2, 0, 1, true},
      {0xe2, false, 1, 0, 0, false},
      {0xe2, false, 0, 0, ~0ULL, true},
      {0xe2, true, 0x1'0000'0001, 0, 0, false},
      {0xe2, true, 0x1'0000'0000, 0, 0xffff'ffff, true},
      {0xe1, false, 2, kZf, 1, true},
      {0xe1, false, 2, 0, 1, false},
      {0xe1, false, 1, kZf, 0, false},
      {0xe0, false, 2, 0, 1, true},
      {0xe0, false, 2, kZf, 1, false},
      {0xe0, false, 1, 0, 0, false},
  };
  for (const Row& row : kRows) {
    t.code_pages.written(kCode / 4096);
    Bytes bytes;
    if (row.address32) bytes.push_back(0x67);
    bytes.push_back(row.opcode);
    bytes.push_back(0x10);
    core.gpr[kRcx] = row.rcx;
    set_arithmetic_flags(core, row.flags);
    EXPECT_EQ(step(bytes), static_cast<std::int64_t>(bytes.size()) + (row.taken ? 0x10 : 0))
        << std::hex << +row.opcode << ' ' << row.rcx;
    EXPECT_EQ(core.gpr[kRcx], row.left);
    EXPECT_EQ(arithmetic_flags(core.lazy), row.flags);
  }
}

TEST_F(Control, DirectJumpsReachBackwardsAndForwards) {
  EXPECT_EQ(step({0xeb, 0x7f}), 2 + 0x7f);
  t.code_pages.written(kCode / 4096);
  EXPECT_EQ(step({0xeb, 0x80}), 2 - 0x80);
  t.code_pages.written(kCode / 4096);
  EXPECT_EQ(step({0xe9, 0, 0, 1, 0}), 5 + 0x10000);
  t.code_pages.written(kCode / 4096);
  EXPECT_EQ(step({0xe9, 0, 0, 0xff, 0xff}), 5 - 0x10000);
}

TEST_F(Control, CallsPushTheAddressBehindThemAndRetPopsIt) {
  t.code({0xe8, 0x0b, 0, 0, 0});                       // call +0x0b
  t.put_bytes(kCode + 0x10, Bytes{0xc2, 0x20, 0x00});  // ret 0x20
  t.run(1);
  EXPECT_EQ(core.rip, kCode + 0x10);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 8);
  EXPECT_EQ(t.take<std::uint64_t>(kKernelStack - 8), kCode + 5);
  t.run(1);
  EXPECT_EQ(core.rip, kCode + 5);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack + 0x20);
}

TEST_F(Control, IndirectBranchesTakeRegistersAndMemory) {
  core.gpr[kRax] = kCode + 0x800;
  EXPECT_EQ(step({0xff, 0xe0}), 0x800);  // jmp rax
  t.code_pages.written(kCode / 4096);
  core.gpr[kRsi] = kData;
  t.put<std::uint64_t>(kData, kCode + 0x900);
  EXPECT_EQ(step({0xff, 0x26}), 0x900);  // jmp [rsi]
  t.code_pages.written(kCode / 4096);
  EXPECT_EQ(step({0xff, 0x16}), 0x900);  // call [rsi]
  EXPECT_EQ(t.take<std::uint64_t>(kKernelStack - 8), kCode + 2);
  // CALL [RSP - 8] reads its target before it pushes.
  t.code_pages.written(kCode / 4096);
  core.gpr[kRsp] = kKernelStack;
  t.put<std::uint64_t>(kKernelStack - 8, kCode + 0xa00);
  EXPECT_EQ(step({0xff, 0x54, 0x24, 0xf8}), 0xa00);
  // CALL RSP calls where RSP was.
  t.code_pages.written(kCode / 4096);
  core.gpr[kRsp] = kCode + 0xb00;
  EXPECT_EQ(step({0xff, 0xd4}), 0xb00);
}

TEST_F(Control, TargetsThatAreNotCanonicalFaultAtTheBranch) {
  constexpr std::uint64_t kBad = 0x0000'8000'0000'0000;
  const Bytes branches[] = {{0xff, 0xe0}, {0xff, 0xd0}, {0xff, 0x26}, {0xff, 0x16}, {0xc3}};
  for (const Bytes& branch : branches) {
    t.start_long_mode();
    core.gpr[kRax] = kBad;
    core.gpr[kRsi] = kData;
    t.put(kData, kBad);
    t.put(kKernelStack - 0x100, kBad);
    core.gpr[kRsp] = kKernelStack - 0x100;
    t.code_pages.written(kCode / 4096);
    t.code(branch);
    t.run();
    const auto caught = t.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->vector, kGeneralProtection);
    EXPECT_EQ(caught->error_code, 0U);
    EXPECT_EQ(caught->rip, kCode);
    EXPECT_EQ(caught->rsp, kKernelStack - 0x100);
  }
}

TEST_F(Control, ACallThatCannotPushChangesNothing) {
  t.set_page(0x50000, 0);
  for (const Bytes& call : {Bytes{0xe8, 0, 0, 0, 0}, Bytes{0xff, 0xd0}}) {
    t.start_long_mode(3);
    t.set_page(0x50000, 0);
    core.gpr[kRsp] = 0x51000;
    core.gpr[kRax] = kCode + 0x100;
    t.code_pages.written(kCode / 4096);
    t.code(call);
    t.run();
    const auto caught = t.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->vector, kPageFault);
    EXPECT_EQ(caught->error_code, kPfWrite | kPfUser);
    EXPECT_EQ(core.cr2, 0x50ff8U);
    EXPECT_EQ(caught->rip, kCode);
    EXPECT_EQ(caught->rsp, 0x51000U);
  }
}

TEST_F(Control, BranchesInOldCodeAreCutToTheirOperandSize) {
  t.start_protected_mode();
  core.gpr[kRax] = kCode + 0x40;
  t.code({0xeb, 0xfe});
  t.run(1);
  EXPECT_EQ(core.rip, kCode);
  // JMP rel32 that wraps at 4 GiB, and JMP r16.
  t.put_bytes(kCode, Bytes{0xe9, 0, 0, 0xfe, 0xff});
  t.code_pages.written(kCode / 4096);
  t.run(1);
  EXPECT_EQ(core.rip, static_cast<std::uint32_t>(kCode + 5 - 0x20000));
  core.gpr[kRax] = 0x1234'0040;
  t.put_bytes(kCode, Bytes{0x66, 0xff, 0xe0});
  t.code_pages.written(kCode / 4096);
  core.rip = kCode;
  t.run(1);
  EXPECT_EQ(core.rip, 0x40U);
  // A call in 32-bit code pushes four bytes.
  t.put_bytes(kCode, Bytes{0xe8, 0, 1, 0, 0});
  t.code_pages.written(kCode / 4096);
  core.rip = kCode;
  core.gpr[kRsp] = kKernelStack;
  t.run(1);
  EXPECT_EQ(core.gpr[kRsp], kKernelStack - 4);
  EXPECT_EQ(t.take<std::uint32_t>(kKernelStack - 4), kCode + 5);
}

TEST_F(Control, EveryKindOfBranchIsCounted) {
  // call +0 (to the next) / pop rbx / xor eax, eax / jz +0 / jnz +0 / lea rbx, [rip+2] / jmp rbx /
  // call rip-relative register / ... ret is the callee.
  const Bytes bytes = {0xe8, 0x20, 0,    0,    0,             // call kCode + 0x25
                       0x31, 0xc0,                            // xor eax, eax
                       0x74, 0x00,                            // jz
                       0x75, 0x00,                            // jnz
                       0x48, 0x8d, 0x1d, 0x02, 0,    0,   0,  // lea rbx, [rip + 2]
                       0xff, 0xe3,                            // jmp rbx
                       0x48, 0x8d, 0x1d, 0x0a, 0,    0,   0,  // lea rbx, [rip + 10]
                       0xff, 0xd3,                            // call rbx
                       0xeb, 0x00,                            // jmp
                       kHlt, kNop, kNop, kNop, kNop, kNop};
  t.code(bytes);
  t.put<std::uint8_t>(kCode + 0x25, 0xc3);  // ret, for both calls
  ASSERT_EQ(t.run(), Cpu::Exit::kHalted);
  ASSERT_FALSE(t.caught());
  EXPECT_EQ(t.count(RawEvent::kCalls), 2U);
  EXPECT_EQ(t.count(RawEvent::kReturns), 2U);
  EXPECT_EQ(t.count(RawEvent::kConditionalBranches), 2U);
  EXPECT_EQ(t.count(RawEvent::kIndirectBranches), 2U);  // jmp rbx, call rbx
  EXPECT_EQ(t.count(RawEvent::kBranches), 8U);
  EXPECT_EQ(t.count(RawEvent::kTakenBranches), 7U);  // all but the jnz
  EXPECT_EQ(t.count(RawEvent::kLoads), 2U);
  EXPECT_EQ(t.count(RawEvent::kStores), 2U);
  EXPECT_EQ(t.instructions(), 12U);
}

}  // namespace
}  // namespace vpmu::machine::x86
