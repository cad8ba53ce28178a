// SPDX-License-Identifier: MIT
#include "profile/symbols/symbol_table.hpp"

#include <gtest/gtest.h>

#include <string>

#include "symbol_elf.hpp"

namespace {
using vpmu::profile::Symbol;
using vpmu::profile::SymbolTable;
using vpmu::test::TemporaryFile;

std::string name_at(const SymbolTable& table, std::uint64_t address) {
  const Symbol* symbol = table.find(address);
  return symbol == nullptr ? "-" : symbol->name;
}

SymbolTable kallsyms(const std::string& text) {
  auto table = SymbolTable::from_kallsyms(text, "test");
  EXPECT_TRUE(table) << table.error().message;
  return table ? std::move(*table) : SymbolTable{};
}

TEST(SymbolTable, OfSeveralNamesForAnAddressTheShortestCounts) {
  const SymbolTable table{{{16, 4, "longer", ""}, {16, 4, "short", ""}, {16, 4, "shore", ""}}};
  ASSERT_EQ(table.symbols().size(), 1u);
  EXPECT_EQ(name_at(table, 16), "shore");
}

TEST(SymbolTable, ASymbolWithoutSizeGoesUpToTheNext) {
  const SymbolTable table{{{0x10, 0, "a", ""}, {0x30, 8, "b", ""}}};
  EXPECT_EQ(name_at(table, 0x2f), "a");
  EXPECT_EQ(name_at(table, 0x30), "b");
  EXPECT_EQ(name_at(table, 0x38), "-");
}

TEST(SymbolTable, ASymbolWithoutSizeDoesNotReachAcrossTheAddressSpace) {
  const SymbolTable table{{{0x1000, 0, "last", ""}, {0xffff'0000'0000'0000, 0, "far", ""}}};
  EXPECT_EQ(name_at(table, 0x1000 + SymbolTable::kMostGuessedBytes - 1), "last");
  EXPECT_EQ(name_at(table, 0x1000 + SymbolTable::kMostGuessedBytes), "-");
  EXPECT_EQ(name_at(table, 0xffff'0000'0000'0001), "far");
}

TEST(SymbolTable, ASymbolThatOverflowsTheAddressSpaceEndsWithIt) {
  const SymbolTable table{{{~std::uint64_t{0} - 8, 100, "top", ""}}};
  EXPECT_EQ(name_at(table, ~std::uint64_t{0} - 1), "top");
  EXPECT_EQ(name_at(table, 0), "-");
}

TEST(SymbolTable, FindsByNameAndByLinkageName) {
  const SymbolTable table{{{1, 1, "f(int)", "_Z1fi"}}};
  EXPECT_EQ(table.find_name("f(int)"), &table.symbols()[0]);
  EXPECT_EQ(table.find_name("_Z1fi"), &table.symbols()[0]);
  EXPECT_EQ(table.find_name("f"), nullptr);
}

TEST(SymbolTable, ItsKallsymsTextGivesTheSameSymbols) {
  const SymbolTable table{{{0x1000, 0x10, "f(int)", "_Z1fi"}, {0x1010, 0x10, "odd", "odd name"}}};
  EXPECT_EQ(table.kallsyms(), "0000000000001000 T _Z1fi\n0000000000001010 T odd_name\n");
  const SymbolTable again = kallsyms(table.kallsyms());
  EXPECT_EQ(name_at(again, 0x100f), "f(int)");
  EXPECT_EQ(name_at(again, 0x1010), "odd_name");
}

TEST(Kallsyms, TakesCodeAndNoData) {
  const SymbolTable table = kallsyms(
      "0000000000000000 A fixed_percpu_data\n"
      "ffffffff81000000 T _stext\n"
      "ffffffff81000000 t local_alias\n"
      "ffffffff81000100 t local\n"
      "ffffffff81000200 W weak\n"
      "ffffffff81000300 D data\n"
      "ffffffffc0000000 t of_module\t[module]\n");
  EXPECT_EQ(table.symbols().size(), 4u);
  EXPECT_EQ(name_at(table, 0xffffffff81000000), "_stext");
  EXPECT_EQ(name_at(table, 0xffffffff81000123), "local");
  EXPECT_EQ(name_at(table, 0xffffffff81000345), "weak");
  EXPECT_EQ(name_at(table, 0xffffffffc0000010), "of_module");
}

TEST(Kallsyms, OfSeveralNamesTheGlobalOneCounts) {
  EXPECT_EQ(name_at(kallsyms("10 t a\n10 T longer\n10 t b\n"), 0x10), "longer");
}

TEST(Kallsyms, HiddenAddressesAreAnErrorThatSaysSo) {
  const auto table = SymbolTable::from_kallsyms(
      "0000000000000000 T _text\n0000000000000000 t other\n", "/proc/kallsyms");
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find("'/proc/kallsyms'"), std::string::npos);
  EXPECT_NE(table.error().message.find("hides"), std::string::npos) << table.error().message;
}

TEST(Kallsyms, AWrongLineIsNamed) {
  for (const char* line : {"10 T", "xyz T name", "10 TT name", "11111111111111111 T name"}) {
    const auto table = SymbolTable::from_kallsyms("10 T good\n\n" + std::string{line} + "\n", "k");
    ASSERT_FALSE(table) << line;
    EXPECT_NE(table.error().message.find("'k', line 3"), std::string::npos)
        << table.error().message;
  }
}

TEST(Kallsyms, WithoutCodeIsAnError) {
  EXPECT_FALSE(SymbolTable::from_kallsyms("", "k"));
  EXPECT_FALSE(SymbolTable::from_kallsyms("10 D data\n", "k"));
}

TEST(MapFile, HasStartSizeAndTheRestIsTheName) {
  const auto table =
      SymbolTable::from_map("# comment\n\n7f0010 20 void f(int, char)\n0x7f0030 0X10 g\r\n", "map");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(name_at(*table, 0x7f002f), "void f(int, char)");
  EXPECT_EQ(name_at(*table, 0x7f0030), "g");
  EXPECT_EQ(name_at(*table, 0x7f0040), "-");
}

TEST(MapFile, AWrongLineIsNamedWithoutItsControlCharacters) {
  const auto table = SymbolTable::from_map("10 10 good\n10 10\x1b[31m\n", "map\n");
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find("line 2"), std::string::npos) << table.error().message;
  EXPECT_EQ(table.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(table.error().message.find('\n'), std::string::npos);
}

TEST(SymbolFile, IsTakenForWhatItIs) {
  const TemporaryFile kernel{"0000 A fixed\n0010 T function\n"};
  const TemporaryFile map{"10 a one\n20 b two\n30 10 three\n"};
  const TemporaryFile letters{"10 a one\n20 b two\n"};
  const auto from_kernel = SymbolTable::from_file(kernel.path());
  ASSERT_TRUE(from_kernel) << from_kernel.error().message;
  EXPECT_EQ(name_at(*from_kernel, 0x10), "function");
  for (const TemporaryFile* file : {&map, &letters}) {
    const auto from_map = SymbolTable::from_file(file->path());
    ASSERT_TRUE(from_map) << from_map.error().message;
    EXPECT_EQ(name_at(*from_map, 0x19), "one");
    EXPECT_EQ(name_at(*from_map, 0x1a), "-");
    EXPECT_EQ(name_at(*from_map, 0x2a), "two");
  }
}

TEST(SymbolFile, ThatCannotBeReadIsNamed) {
  const auto none = SymbolTable::from_file("/no/such/file");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("'/no/such/file'"), std::string::npos);
  EXPECT_FALSE(SymbolTable::from_file(testing::TempDir()));  // a folder
}
}  // namespace
