// SPDX-License-Identifier: MIT
#include "machine/x86/decoder.hpp"

#include <gtest/gtest.h>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86 {
namespace {

using namespace test;
using silicon::RawEvent;

struct DecoderTest : testing::Test {
  TestCpu t;
  Core& core = t.core();
  BlockCache cache;
  Decoder decoder;
  void SetUp() override { t.start_long_mode(); }

  Block* decode(const Bytes& bytes, std::uint64_t at = kCode, std::uint8_t mode = 0) {
    t.code(bytes, at);
    return decode_at(at, mode);
  }
  Block* decode_at(std::uint64_t at, std::uint8_t mode = 0) {
    core.rip = at;
    Mode with = core.mode;
    with.bits |= mode;
    return decoder.decode(core, cache, with, at);
  }
};

Bytes repeat(const Bytes& bytes, unsigned times) {
  Bytes all;
  for (unsigned n = 0; n < times; ++n) all.insert(all.end(), bytes.begin(), bytes.end());
  return all;
}

unsigned instructions(const Block& block) {
  unsigned sum = 0;
  for (unsigned n = 0; n < block.op_count; ++n) sum += block.records[n].instructions;
  return sum;
}
/// The instructions lane of the budget.
std::uint64_t cost(const Block& block) {
  return block.cost & 0xffff;
}

// ---- Where blocks end ---------------------------------------------------------------------------

TEST_F(DecoderTest, ABlockEndsWithItsBranch) {
  const Block* block = decode({0xff, 0xc0, 0xeb, 0x10, 0xff, 0xc1});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->op_count, 2);
  EXPECT_EQ(block->byte_length, 4);
  EXPECT_EQ(block->branch, BranchKind::kDirect);
  EXPECT_EQ(block->branch_offset, 2);
  EXPECT_EQ(block->taken_rip, kCode + 4 + 0x10);
  EXPECT_EQ(cost(*block), 2U);
}

TEST_F(DecoderTest, ABlockHasAMostNumberOfInstructions) {
  const Block* block = decode(repeat({0xff, 0xc0}, 100));
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), Decoder::kMostInstructions);
  EXPECT_EQ(block->byte_length, 2 * Decoder::kMostInstructions);
  EXPECT_EQ(block->branch, BranchKind::kNone);
}

TEST_F(DecoderTest, ABlockEndsWithItsPage) {
  const std::uint64_t edge = kCode + 0x1000;
  const Block* block = decode(repeat({0xff, 0xc0}, 10), edge - 6);
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), 3U);
  EXPECT_EQ(block->byte_length, 6);
  EXPECT_EQ(block->physical2, 0U);
  EXPECT_FALSE(t.code_pages.has_code(edge / 4096));
}

TEST_F(DecoderTest, AnInstructionAcrossPagesIsABlockOfItsOwn) {
  const std::uint64_t edge = kCode + 0x1000;
  // INC EAX; MOV EAX, imm32 with the edge within the immediate.
  t.put_bytes(edge - 4, Bytes{0xff, 0xc0, 0xb8, 0x78, 0x56, 0x34, 0x12, 0x90});
  const Block* before = decode_at(edge - 4);
  ASSERT_TRUE(before);
  EXPECT_EQ(instructions(*before), 1U);
  EXPECT_EQ(before->byte_length, 2);
  EXPECT_EQ(before->physical2, 0U);
  const Block* across = decode_at(edge - 2);
  ASSERT_TRUE(across);
  EXPECT_EQ(instructions(*across), 1U);
  EXPECT_EQ(across->byte_length, 5);
  EXPECT_EQ(across->physical2, edge);
  EXPECT_EQ(across->ops[0].immediate, 0x12345678U);
  EXPECT_TRUE(t.code_pages.hits(edge / 4096, 0, 2));
}

TEST_F(DecoderTest, EveryCutOfALongInstructionAcrossPagesDecodesTheSame) {
  const std::uint64_t edge = kCode + 0x1000;
  const Bytes store = {0x48, 0xc7, 0x84, 0x25, 0x10, 0, 0x10, 0, 0x44, 0x33, 0x22, 0x11};
  for (unsigned in_first = 1; in_first < store.size(); ++in_first) {
    const Block* block = decode(store, edge - in_first);
    ASSERT_TRUE(block) << in_first;
    EXPECT_EQ(instructions(*block), 1U);
    EXPECT_EQ(block->byte_length, store.size());
    EXPECT_EQ(block->records[0].stores, 1);
    EXPECT_EQ(block->physical2, edge);
  }
}

TEST_F(DecoderTest, ASecondPageThatCannotBeFetchedFaultsAtItsFirstByte) {
  const std::uint64_t edge = kCode + 0x1000;
  t.put_bytes(edge - 2, Bytes{0xb8, 0x78, 0x56, 0x34, 0x12});
  t.set_page(edge, 0);
  EXPECT_EQ(decode_at(edge - 2), nullptr);
  EXPECT_EQ(core.exception.vector, kPageFault);
  EXPECT_EQ(core.exception.address, edge);
  EXPECT_EQ(core.exception.error_code, kPfFetch);
  // The instruction before it is not to blame.
  t.put_bytes(edge - 3, Bytes{0x90});
  const Block* block = decode_at(edge - 3);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->byte_length, 1);
}

TEST_F(DecoderTest, AnInstructionThatEndsWithThePageDoesNotNeedTheNext) {
  const std::uint64_t edge = kCode + 0x1000;
  t.put_bytes(edge - 5, Bytes{0xb8, 0x78, 0x56, 0x34, 0x12});
  t.set_page(edge, 0);
  const Block* block = decode_at(edge - 5);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->byte_length, 5);
}

TEST_F(DecoderTest, InstructionsThatReadTimeOrReachDevicesStandAlone) {
  const Bytes alone[] = {
      {0x0f, 0x31},  // rdtsc
      {0x0f, 0x33},  // rdpmc
      {0x0f, 0x32},  // rdmsr
      {0x0f, 0x30},  // wrmsr
      {0xe4, 0x60},  // in al, 0x60
      {0xee},        // out dx, al
      {0x6c},        // insb
  };
  for (const Bytes& bytes : alone) {
    Bytes behind = {0xff, 0xc0};
    behind.insert(behind.end(), bytes.begin(), bytes.end());
    behind.push_back(0x90);
    cache.clear();
    const Block* before = decode(behind);
    ASSERT_TRUE(before);
    EXPECT_EQ(before->byte_length, 2) << std::hex << +bytes[0];
    const Block* block = decode_at(kCode + 2);
    ASSERT_TRUE(block);
    EXPECT_EQ(instructions(*block), 1U) << std::hex << +bytes[0];
    EXPECT_EQ(block->byte_length, bytes.size());
  }
}

TEST_F(DecoderTest, AloneModeTakesOneInstruction) {
  const Block* block = decode({0x90, 0xff, 0xc0, 0xff, 0xc0}, kCode, Mode::kAlone);
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), 1U);
  EXPECT_EQ(block->byte_length, 1);
}

TEST_F(DecoderTest, WhatIsNoInstructionIsUndefinedWhereItIsReached) {
  const Bytes codes[] = {
      {0x0f, 0x04},              // no instruction
      {0x0f, 0xff, 0xc0},        // ud0
      {0x0f, 0xb9, 0xc0},        // ud1
      {0x06},                    // push es: not in 64-bit code
      {0xf0, 0xff, 0xe0},        // lock jmp
      {0xc5, 0xf8, 0x58, 0xc0},  // vaddps: there is no AVX
  };
  for (const Bytes& code : codes) {
    TestCpu guest;
    guest.start_long_mode();
    guest.code({0xff, 0xc0});
    guest.put_bytes(kCode + 2, code);
    guest.run();
    ASSERT_TRUE(guest.caught()) << std::hex << +code[0] << ' ' << +code.back();
    EXPECT_EQ(guest.caught()->vector, unsigned{kInvalidOpcode}) << std::hex << +code[0];
    EXPECT_EQ(guest.caught()->rip, kCode + 2);
    EXPECT_EQ(guest.instructions(), 2U);
  }
}

TEST_F(DecoderTest, MoreThanFifteenBytesAreAProtectionFault) {
  Bytes long_one(15, 0x66);
  long_one.push_back(0x90);
  EXPECT_EQ(decode(long_one), nullptr);
  EXPECT_EQ(core.exception.vector, kGeneralProtection);
  Bytes fifteen(14, 0x66);
  fifteen.push_back(0x90);
  const Block* block = decode(fifteen, kCode + 0x100, Mode::kAlone);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->records[0].length, 15);
  // Across a page end it is no different.
  EXPECT_EQ(decode(long_one, kCode + 0x1000 - 4), nullptr);
  EXPECT_EQ(core.exception.vector, kGeneralProtection);
}

TEST_F(DecoderTest, CodeOutsideRamIsUndefined) {
  EXPECT_EQ(decode_at(kDevice), nullptr);
  EXPECT_EQ(core.exception.vector, kInvalidOpcode);
}

TEST_F(DecoderTest, DecodedBytesAreMarkedAsCode) {
  decode({0xff, 0xc0, 0xeb, 0x00}, kCode + 0x80);
  EXPECT_TRUE(t.code_pages.hits(kCode / 4096, 0x80, 0x80));
  EXPECT_FALSE(t.code_pages.hits(kCode / 4096, 0x0, 0x7f));
  EXPECT_FALSE(t.code_pages.hits(kCode / 4096, 0xc0, 0xfff));
}

// ---- Merging ------------------------------------------------------------------------------------

TEST_F(DecoderTest, NopsJoinTheInstructionBehindThem) {
  // nop; 3-byte nop; pause does not count as one; inc eax; nop; jmp
  const Block* block = decode({0x90, 0x0f, 0x1f, 0x00, 0xff, 0xc0, 0x90, 0xeb, 0x00});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->op_count, 2);
  EXPECT_EQ(instructions(*block), 5U);
  EXPECT_EQ(block->records[0].lead, 2);
  EXPECT_EQ(block->records[0].offset, 4);  // where it would fault
  EXPECT_EQ(block->records[0].cycles, 3);
  EXPECT_EQ(block->records[1].lead, 1);
  EXPECT_EQ(block->records[1].offset, 7);
  EXPECT_EQ(block->branch_offset, 7);
  EXPECT_EQ(cost(*block), 5U);
}

TEST_F(DecoderTest, NopsAloneStillRetire) {
  const Block* block = decode(repeat({0x90}, 40));
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), Decoder::kMostInstructions);
  EXPECT_EQ(cost(*block), Decoder::kMostInstructions);
}

TEST_F(DecoderTest, AComparisonJoinsItsBranch) {
  const Block* block = decode({0x90, 0x48, 0x39, 0xd8, 0x74, 0x10});  // nop; cmp rax, rbx; jz
  ASSERT_TRUE(block);
  EXPECT_EQ(block->op_count, 1);
  EXPECT_EQ(instructions(*block), 3U);
  EXPECT_EQ(block->records[0].offset, 1);
  EXPECT_EQ(block->records[0].lead, 1);
  EXPECT_EQ(block->branch_offset, 4);
  EXPECT_EQ(block->branch, BranchKind::kConditional);
  EXPECT_EQ(block->taken_rip, kCode + 6 + 0x10);
}

TEST_F(DecoderTest, AComparisonWithMemoryJoinsItsBranchAndCountsItsLoad) {
  const Block* block = decode({0x48, 0x3b, 0x06, 0x74, 0x10});  // cmp rax, [rsi]; jz
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), 2U);
  unsigned loads = 0;
  for (unsigned n = 0; n < block->op_count; ++n) loads += block->records[n].loads;
  EXPECT_EQ(loads, 1U);
  EXPECT_EQ(block->cost >> 48, 1U);
}

struct FaultCase {
  const char* what;
  Bytes code;
  std::uint64_t rip;      ///< offset of the instruction at fault
  std::uint64_t retired;  ///< instructions before it
};

// Each of them loads from an unmapped page in RDI, or divides by zero.
TEST_F(DecoderTest, MergedInstructionsFaultWhereTheyAreAndRetireWhatIsBefore) {
  const FaultCase cases[] = {
      {"nops before a load", {0x90, 0x66, 0x90, 0x0f, 0x1f, 0x00, 0x8b, 0x07}, 6, 3},
      {"a comparison that joined its branch", {0xff, 0xc0, 0x3b, 0x07, 0x74, 0x00}, 2, 1},
      {"nops, a comparison and a branch", {0x90, 0x90, 0x3b, 0x07, 0x74, 0x00}, 2, 2},
      {"a comparison the other way round", {0x90, 0x39, 0x07, 0x74, 0x00}, 1, 1},
      {"nops before a division", {0x31, 0xc9, 0x90, 0x90, 0xf7, 0xf1}, 4, 3},
      {"nops before an indirect jump", {0x90, 0x90, 0xff, 0x27}, 2, 2},
      {"nops before what is undefined", {0x90, 0x90, 0x0f, 0x0b}, 2, 2},
      {"a load between increments", {0xff, 0xc0, 0x8b, 0x07, 0xff, 0xc0}, 2, 1},
  };
  for (const FaultCase& c : cases) {
    TestCpu guest;
    guest.start_long_mode();
    guest.core().gpr[kRdi] = 0x60'0000;
    guest.code(c.code);
    guest.run();
    const auto caught = guest.caught();
    ASSERT_TRUE(caught) << c.what;
    EXPECT_EQ(caught->rip, kCode + c.rip) << c.what;
    EXPECT_EQ(guest.instructions(), c.retired + 1) << c.what;  // and the handler's HLT
    EXPECT_EQ(guest.count(RawEvent::kBranches), 0U) << c.what;
    EXPECT_EQ(guest.count(RawEvent::kLoads), 0U) << c.what;
    // One cycle each, but for what the cycle model has for the rest: delivery 60, HLT 20.
    EXPECT_EQ(guest.count(RawEvent::kCycles), c.retired + 60 + 20) << c.what;
  }
}

// A fault sees the flags that the instruction before it left, whatever the decoder dropped.
TEST_F(DecoderTest, FlagsAreRightWhereverSomebodyCanSeeThem) {
  const Bytes codes[] = {
      {0x83, 0xc0, 0x01, 0x8b, 0x07, 0x83, 0xe8, 0x01},  // add eax, 1; load (faults); sub
      {0x83, 0xc0, 0x01, 0x89, 0xc2, 0x8b, 0x07, 0x31, 0xdb},
      {0x83, 0xc0, 0x01, 0x8d, 0x10, 0x8b, 0x07, 0x31, 0xdb},
  };
  for (const Bytes& code : codes) {
    TestCpu guest;
    guest.start_long_mode();
    guest.core().gpr[kRax] = 0xffff'ffff;
    guest.core().gpr[kRdi] = 0x60'0000;
    guest.code(code);
    guest.run();
    const auto caught = guest.caught();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->rflags & kArithmeticFlags, kCf | kPf | kAf | kZf);
  }
}

TEST_F(DecoderTest, ADroppedFlagResultDoesNotChangeTheLiveOne) {
  // add eax, 1 (flags dead); sub ebx, 1 (live); pushfq
  t.core().gpr[kRax] = 0xffff'ffff;
  t.core().gpr[kRbx] = 0;
  t.code({0x83, 0xc0, 0x01, 0x83, 0xeb, 0x01, 0x9c, 0x58, 0xf4});  // pushfq; pop rax; hlt
  t.run();
  EXPECT_FALSE(t.caught());
  EXPECT_EQ(t.core().gpr[kRax] & kArithmeticFlags, kCf | kPf | kAf | kSf);
}

// ---- Modes --------------------------------------------------------------------------------------

TEST_F(DecoderTest, TheSameBytesDecodeByMode) {
  // 48 FF C0: INC RAX in 64-bit code; DEC EAX, INC EAX in 32-bit code; DEC AX, INC AX in 16-bit.
  const Block* block64 = decode({0x48, 0xff, 0xc0, 0xeb, 0xfe});
  EXPECT_EQ(instructions(*block64), 2U);
  t.start_protected_mode();
  const Block* block32 = decode({0x48, 0xff, 0xc0, 0xeb, 0xfe});
  EXPECT_EQ(instructions(*block32), 3U);
  EXPECT_NE(block64, block32);
}

TEST_F(DecoderTest, InstructionsThatCpuidDoesNotOfferAreWhatTheyWereBefore) {
  // ENDBR64 is a NOP without CET, BNDMOV-less MPX encodings are NOPs.
  const Block* block = decode({0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0xc0, 0xeb, 0x00});
  ASSERT_TRUE(block);
  EXPECT_EQ(instructions(*block), 3U);
  t.run(3);
  EXPECT_EQ(t.core().gpr[kRax], 1U);
}

}  // namespace
}  // namespace vpmu::machine::x86
