// SPDX-License-Identifier: MIT
#include "cli/annotate/disassembly.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {
using vpmu::cli::annotate::disassemble;
using vpmu::cli::annotate::Syntax;
using vpmu::profile::CodeSet;

// 48 89 d8: mov rbx to rax; eb fb: jump 5 bytes back, counted from behind itself.
const std::vector<std::uint8_t> kCode{0x48, 0x89, 0xd8, 0xeb, 0xfb};

TEST(Disassembly, BothSyntaxesNameTheSameInstruction) {
  const auto att = disassemble(kCode, 0x1000, CodeSet::kX86_64, Syntax::kAtt);
  const auto intel = disassemble(kCode, 0x1000, CodeSet::kX86_64, Syntax::kIntel);
  ASSERT_EQ(att.size(), 2u);
  EXPECT_EQ(att[0].text, "mov %rbx, %rax");
  EXPECT_EQ(intel[0].text, "mov rax, rbx");
  EXPECT_EQ(att[0].address, 0x1000u);
  EXPECT_EQ(att[0].length, 3u);
  EXPECT_EQ(att[0].target, std::nullopt);
}

TEST(Disassembly, BranchesSayWhereTheyGo) {
  const auto code = disassemble(kCode, 0x1000, CodeSet::kX86_64, Syntax::kAtt);
  EXPECT_EQ(code[1].target, 0x1000u);
  EXPECT_EQ(code[1].text, "jmp 0x1000");
}

TEST(Disassembly, The32BitSetHasOtherInstructions) {
  // 48 is a prefix in 64-bit code, and dec %eax in 32-bit code.
  const auto code = disassemble(kCode, 0x1000, CodeSet::kX86_32, Syntax::kAtt);
  ASSERT_EQ(code.size(), 3u);
  EXPECT_EQ(code[0].text, "dec %eax");
  EXPECT_EQ(code[1].text, "mov %ebx, %eax");
}

TEST(Disassembly, WhatIsNoInstructionIsOneByte) {
  const std::vector<std::uint8_t> bytes{0x06, 0x90, 0x48};  // 06: none in 64-bit code; 48: cut off
  const auto code = disassemble(bytes, 0x1000, CodeSet::kX86_64, Syntax::kAtt);
  ASSERT_EQ(code.size(), 3u);
  EXPECT_EQ(code[0].text, ".byte 0x06");
  EXPECT_EQ(code[1].text, "nop");
  EXPECT_EQ(code[2].text, ".byte 0x48");
  EXPECT_EQ(code[2].address, 0x1002u);
}
}  // namespace
