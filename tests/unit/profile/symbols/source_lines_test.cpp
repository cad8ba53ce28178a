// SPDX-License-Identifier: MIT
#include "profile/symbols/source_lines.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "profile/symbols/elf_image.hpp"
#include "profile/symbols/symbol_table.hpp"
#include "symbol_elf.hpp"

namespace {
using vpmu::profile::InlinedCall;
using vpmu::profile::read_code;
using vpmu::profile::SourceLine;
using vpmu::profile::SourceLines;
using vpmu::profile::SymbolTable;
using vpmu::test::SymbolElf64;
using vpmu::test::TemporaryFile;

const std::string kSource = std::string{VPMU_PROGRAMS_SOURCE} + "/lines.c";

/// The line of the source that has the comment.
SourceLine line_with(const std::string& comment) {
  std::ifstream source{kSource};
  std::string text;
  for (unsigned line = 1; std::getline(source, text); ++line) {
    if (text.find("/* LINE " + comment + " */") != std::string::npos) return {kSource, line};
  }
  ADD_FAILURE() << "no line with " << comment;
  return {};
}

class SourceLinesOf : public testing::TestWithParam<const char*> {
 protected:
  std::string path = std::string{VPMU_PROGRAMS} + "/" + GetParam();
  SourceLines lines = SourceLines::open(path).value();

  /// Of the instruction prefetchnta 0x5a0000+number(%rax).
  [[nodiscard]] std::uint64_t mark(std::uint8_t number) const {
    const auto table = SymbolTable::from_elf(path).value();
    const auto* outer = table.find_name("outer");
    if (outer == nullptr) return 0;
    const auto code = read_code(path, outer->start, outer->size).value();
    const std::uint8_t bytes[] = {0x0f, 0x18, 0x80, number, 0x00, 0x5a, 0x00};
    const auto found = std::search(code.begin(), code.end(), std::begin(bytes), std::end(bytes));
    EXPECT_NE(found, code.end());
    return outer->start + static_cast<std::uint64_t>(found - code.begin());
  }
};

TEST_P(SourceLinesOf, InstructionsAreThoseOfTheSource) {
  EXPECT_EQ(lines.find(mark(3)), line_with("outer"));
  EXPECT_EQ(lines.find(mark(2)), line_with("middle"));
  EXPECT_EQ(lines.find(mark(1)), line_with("innermost"));
  // Within an instruction, too.
  EXPECT_EQ(lines.find(mark(1) + 1), line_with("innermost"));
}

TEST_P(SourceLinesOf, InlinedCallsAreTheInnermostFirst) {
  const auto innermost = lines.inlined(mark(1));
  ASSERT_EQ(innermost.size(), 2u);
  EXPECT_EQ(innermost[0].function, "innermost");
  EXPECT_EQ(innermost[0].called_at, line_with("calls innermost"));
  EXPECT_EQ(innermost[1].function, "middle");
  EXPECT_EQ(innermost[1].called_at, line_with("calls middle"));
  const auto middle = lines.inlined(mark(2));
  ASSERT_EQ(middle.size(), 1u);
  EXPECT_EQ(middle[0].function, "middle");
  EXPECT_TRUE(lines.inlined(mark(3)).empty());
}

TEST_P(SourceLinesOf, AddressesOutsideOfTheProgramHaveNone) {
  for (const std::uint64_t address : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    EXPECT_EQ(lines.find(address), std::nullopt);
    EXPECT_TRUE(lines.inlined(address).empty());
  }
}

TEST_P(SourceLinesOf, AFileThatIsCutOrChangedGivesErrorsOrLines) {
  std::ifstream file{path, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
  const std::uint64_t address = mark(1);
  for (std::size_t at = 0; at < bytes.size(); at += 61) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(~changed[at]);
    for (const std::string& content : {bytes.substr(0, at), changed}) {
      const TemporaryFile hostile{content};
      const auto opened = SourceLines::open(hostile.path());
      if (!opened) continue;
      EXPECT_LE(opened->inlined(address).size(), content.size());
      EXPECT_NE(opened->find(address).value_or(SourceLine{"", 1}).line, 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, SourceLinesOf, testing::Values("lines-dwarf4", "lines-dwarf5"),
                         [](const auto& version) { return std::string{version.param}.substr(6); });

TEST(SourceLines, AnImageWithoutDwarfHasNone) {
  const TemporaryFile file{
      SymbolElf64{EM_X86_64, 0x1000, std::string(16, '\x90'), {{"f", 0x1000, 16}}}.file()};
  const auto lines = SourceLines::open(file.path());
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(lines->find(0x1000), std::nullopt);
  EXPECT_TRUE(lines->inlined(0x1000).empty());
}

TEST(SourceLines, WhatIsNoImageIsAnError) {
  const TemporaryFile text{"text"};
  EXPECT_FALSE(SourceLines::open(text.path()));
  EXPECT_FALSE(SourceLines::open("/no/such/file"));
}
}  // namespace
