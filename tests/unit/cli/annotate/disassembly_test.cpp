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

std::vector<std::uint8_t> bytes_of(const std::vector<std::uint32_t>& words) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t word : words) {
    for (unsigned n = 0; n < 32; n += 8) bytes.push_back(static_cast<std::uint8_t>(word >> n));
  }
  return bytes;
}

// Encodings by the Arm ARM, C6.2.
TEST(Disassembly, AArch64HasItsOwnWords) {
  struct Case {
    std::uint32_t word;
    const char* text;
    std::optional<std::uint64_t> target;
  };
  const Case cases[] = {
      {0xa9bd'7bfd, "stp x29, x30, [sp, #-48]!", std::nullopt},
      {0x1400'0002, "b 0x1008", 0x1008},
      {0x5400'0041, "b.ne 0x1008", 0x1008},
      {0x97ff'ffff, "bl 0xffc", 0xffc},
      {0xb400'0040, "cbz x0, 0x1008", 0x1008},
      {0x3607'ffe0, "tbz w0, #0, 0xffc", 0xffc},
      {0x9000'0000, "adrp x0, 0x1000", std::nullopt},
      {0x5800'0040, "ldr x0, 0x1008", std::nullopt},
      {0xd65f'03c0, "ret", std::nullopt},
      {0xd69f'03e0, "eret", std::nullopt},
      {0xd400'0001, "svc #0x0", std::nullopt},
      {0xffff'ffff, ".inst 0xffffffff", std::nullopt},
  };
  for (const Case& expected : cases) {
    const auto code =
        disassemble(bytes_of({expected.word}), 0x1000, CodeSet::kAArch64, Syntax::kAtt);
    ASSERT_EQ(code.size(), 1u);
    EXPECT_EQ(code[0].text, expected.text);
    EXPECT_EQ(code[0].target, expected.target) << expected.text;
    EXPECT_EQ(code[0].length, 4u);
  }
}

TEST(Disassembly, AArch64CodeThatIsCutOffEndsInBytes) {
  auto bytes = bytes_of({0xd503'201f, 0xd503'201f});
  bytes.resize(6);
  const auto code = disassemble(bytes, 0xffff'8000'0000'0000, CodeSet::kAArch64, Syntax::kAtt);
  ASSERT_EQ(code.size(), 3u);
  EXPECT_EQ(code[0].text, "nop");
  EXPECT_EQ(code[1].text, ".byte 0x1f");
  EXPECT_EQ(code[2].text, ".byte 0x20");
  EXPECT_EQ(code[2].address, 0xffff'8000'0000'0005u);
}

TEST(Disassembly, AnyWordOfAArch64IsAnInstructionOrNone) {
  std::uint32_t word = 1;
  std::vector<std::uint32_t> words;
  for (int n = 0; n < 100'000; ++n) words.push_back(word = word * 1'664'525 + 1'013'904'223);
  const auto code =
      disassemble(bytes_of(words), ~std::uint64_t{0xff}, CodeSet::kAArch64, Syntax::kAtt);
  ASSERT_EQ(code.size(), words.size());
  for (std::size_t n = 0; n < code.size(); ++n) {
    ASSERT_FALSE(code[n].text.empty()) << std::hex << words[n];
    ASSERT_EQ(code[n].text.find("addr"), std::string::npos) << code[n].text;
  }
}
}  // namespace
