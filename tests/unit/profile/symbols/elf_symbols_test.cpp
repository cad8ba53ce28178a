// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "profile/symbols/elf_image.hpp"
#include "profile/symbols/symbol_table.hpp"
#include "symbol_elf.hpp"

namespace {
using vpmu::profile::CodeSet;
using vpmu::profile::read_code;
using vpmu::profile::read_elf_image;
using vpmu::profile::Symbol;
using vpmu::profile::SymbolTable;
using vpmu::test::ElfSymbol;
using vpmu::test::SymbolElf32;
using vpmu::test::SymbolElf64;
using vpmu::test::TemporaryFile;

constexpr std::uint64_t kBase = 0x100000;
const std::string kCode(0x100, '\x90');

/// "NAME START-END ..." of the table of such an image.
template <class Elf = SymbolElf64>
std::string table_of(const std::vector<ElfSymbol>& symbols, std::uint16_t machine = EM_X86_64) {
  const TemporaryFile file{Elf{machine, kBase, kCode, symbols}.file()};
  const auto table = SymbolTable::from_elf(file.path());
  if (!table) return table.error().message;
  std::string text;
  for (const Symbol& symbol : table->symbols()) {
    char range[64];
    std::snprintf(range, sizeof range, " %llx-%llx ",
                  static_cast<unsigned long long>(symbol.start - kBase),
                  static_cast<unsigned long long>(symbol.start - kBase + symbol.size));
    text += symbol.name + range;
  }
  return text;
}

TEST(ElfSymbols, AreReadFrom64And32Bit) {
  const std::vector<ElfSymbol> symbols{{"_Z1fi", kBase, 0x10}, {"g", kBase + 0x20, 0x10}};
  EXPECT_EQ(table_of<SymbolElf64>(symbols), "f(int) 0-10 g 20-30 ");
  EXPECT_EQ(table_of<SymbolElf32>(symbols, EM_386), "f(int) 0-10 g 20-30 ");
}

TEST(ElfSymbols, WithoutSizeGoUpToTheNextOrToTheSectionsEnd) {
  EXPECT_EQ(table_of({{"a", kBase, 0}, {"b", kBase + 0x40, 0}}), "a 0-40 b 40-100 ");
}

TEST(ElfSymbols, EndWithTheirSection) {
  EXPECT_EQ(table_of({{"a", kBase + 0xf0, 0x1000}}), "a f0-100 ");
}

TEST(ElfSymbols, AreOfCodeOnly) {
  EXPECT_EQ(table_of({{"function", kBase, 0x10},
                      {"object", kBase + 0x10, 0x10, STT_OBJECT},
                      {"data", kBase + 0x100, 0x10, STT_FUNC, STB_GLOBAL, 2},
                      {"wrong_section", kBase + 0x20, 0x10, STT_FUNC, STB_GLOBAL, 2},
                      {"end", kBase + 0x100, 0, STT_NOTYPE},
                      {"absolute", kBase + 0x20, 0, STT_NOTYPE, STB_GLOBAL, SHN_ABS},
                      {"imported", 0, 0, STT_FUNC, STB_GLOBAL, SHN_UNDEF},
                      {"section", kBase + 0x40, 0, STT_SECTION, STB_LOCAL},
                      {"", kBase + 0x50, 0x10}}),
            "function 0-10 ");
}

TEST(ElfSymbols, LabelsCountWhereNoFunctionIs) {
  EXPECT_EQ(table_of({{"function", kBase + 0x10, 0x20},
                      {"inside", kBase + 0x18, 0, STT_NOTYPE},
                      {"same", kBase + 0x10, 0, STT_NOTYPE},
                      {"before", kBase, 0, STT_NOTYPE, STB_LOCAL},
                      {"behind", kBase + 0x30, 0, STT_NOTYPE}}),
            "before 0-10 function 10-30 behind 30-100 ");
}

TEST(ElfSymbols, MarksOfTheAssemblerAreNoNames) {
  EXPECT_EQ(table_of({{"start", kBase, 0, STT_NOTYPE, STB_LOCAL},
                      {".Lloop", kBase + 0x10, 0, STT_NOTYPE, STB_LOCAL},
                      {"$x", kBase + 0x20, 0, STT_NOTYPE, STB_LOCAL},
                      {"$d.12", kBase + 0x30, 0, STT_NOTYPE, STB_LOCAL},
                      {"$xyz", kBase + 0x40, 0, STT_NOTYPE, STB_LOCAL}},
                     EM_AARCH64),
            "start 0-40 $xyz 40-100 ");
}

TEST(ElfSymbols, OfSeveralNamesOneIsChosenWhateverTheirOrder) {
  const ElfSymbol local{"l", kBase, 0x10, STT_FUNC, STB_LOCAL};
  const ElfSymbol weak{"we", kBase, 0x10, STT_FUNC, STB_WEAK};
  const ElfSymbol global{"glo", kBase, 0, STT_FUNC, STB_GLOBAL};
  const ElfSymbol longer{"glob", kBase, 0x10, STT_FUNC, STB_GLOBAL};
  const ElfSymbol label{"x", kBase, 0, STT_NOTYPE, STB_GLOBAL};
  EXPECT_EQ(table_of({local, weak, global, longer, label}), "glo 0-10 ");
  EXPECT_EQ(table_of({label, longer, global, weak, local}), "glo 0-10 ");
  EXPECT_EQ(table_of({label, weak, local}), "we 0-10 ");
}

TEST(ElfSymbols, AFunctionWithinAnotherHidesIt) {
  const TemporaryFile file{
      SymbolElf64{EM_X86_64, kBase, kCode, {{"outer", kBase, 0x40}, {"in", kBase + 0x10, 0x10}}}
          .file()};
  const auto table = SymbolTable::from_elf(file.path());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->find(kBase + 0xf)->name, "outer");
  EXPECT_EQ(table->find(kBase + 0x10)->name, "in");
  EXPECT_EQ(table->find(kBase + 0x20)->name, "outer");
  EXPECT_EQ(table->find(kBase + 0x40), nullptr);
}

TEST(ElfSymbols, AnImageWithoutSymbolsHasAnEmptyTable) {
  EXPECT_EQ(table_of({}), "");
  SymbolElf64 stripped{EM_X86_64, kBase, kCode, {}};
  stripped.header.e_shnum = 0;
  stripped.header.e_shoff = 0;
  std::string bytes(SymbolElf64::kCodeOffset + kCode.size(), '\0');
  std::memcpy(bytes.data(), &stripped.header, sizeof stripped.header);
  const TemporaryFile file{bytes};
  const auto table = SymbolTable::from_elf(file.path());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_TRUE(table->symbols().empty());
}

TEST(ElfSymbols, NamesThatActOnATerminalAreEscaped) {
  EXPECT_EQ(table_of({{"a\x1b[2J", kBase, 0x10}}), "a\\x1b[2J 0-10 ");
}

TEST(ElfSymbols, ABrokenFileIsAnErrorThatNamesIt) {
  using Elf = SymbolElf64;
  const Elf good{EM_X86_64, kBase, kCode, {{"f", kBase, 0x10}}};
  struct Case {
    const char* what;
    void (*breaking)(Elf&);
  };
  const Case cases[] = {
      {"sections behind the end", [](Elf& elf) { elf.header.e_shoff += 0x100000; }},
      {"symbols behind the end", [](Elf& elf) { elf.sections[Elf::kSymbols].sh_offset = 1 << 30; }},
      {"symbols without end",
       [](Elf& elf) { elf.sections[Elf::kSymbols].sh_size = ~std::uint64_t{23}; }},
      {"names behind the end", [](Elf& elf) { elf.sections[Elf::kNames].sh_offset = 1 << 30; }},
      {"no names", [](Elf& elf) { elf.sections[Elf::kSymbols].sh_link = 77; }},
      {"names that are code", [](Elf& elf) { elf.sections[Elf::kSymbols].sh_link = Elf::kCode; }},
  };
  for (const Case& broken : cases) {
    Elf elf = good;
    const std::uint64_t place = elf.header.e_shoff;
    broken.breaking(elf);
    // The builder writes the section headers where the header says; put them where they were.
    const std::uint64_t says = elf.header.e_shoff;
    elf.header.e_shoff = place;
    std::string bytes = good.file();
    std::memcpy(bytes.data() + place, elf.sections.data(), elf.sections.size() * 64);
    elf.header.e_shoff = says;
    std::memcpy(bytes.data(), &elf.header, sizeof elf.header);
    const TemporaryFile file{bytes};
    const auto table = SymbolTable::from_elf(file.path());
    ASSERT_FALSE(table) << broken.what;
    EXPECT_NE(table.error().message.find(file.path().substr(0, 20)), std::string::npos)
        << table.error().message;
    EXPECT_NE(table.error().message.find("broken"), std::string::npos) << table.error().message;
  }
}

TEST(ElfSymbols, AFileCutAnywhereIsAnErrorOrATable) {
  SymbolElf64 elf{EM_X86_64, kBase, kCode, {{"f", kBase, 0x10}, {"g", kBase + 0x20, 0}}};
  elf.build_id = "01234567890123456789";
  elf.lay_out();
  const std::string bytes = elf.file();
  for (std::size_t length = 0; length < bytes.size();
       length += length < 0x100 || length > 0x1000 ? 1 : 0x80) {
    const TemporaryFile file{bytes.substr(0, length)};
    const auto table = SymbolTable::from_elf(file.path());
    EXPECT_TRUE(!table || table->symbols().size() <= 2);
    read_elf_image(file.path());
    read_code(file.path(), kBase, 0x1000);
  }
}

TEST(ElfSymbols, WhatIsNoElfFileIsAnError) {
  const TemporaryFile text{"not an image"};
  for (const std::string& path :
       {text.path(), std::string{"/dev/zero"}, testing::TempDir(), std::string{"/no/such/file"}}) {
    const auto table = SymbolTable::from_elf(path);
    ASSERT_FALSE(table) << path;
    EXPECT_NE(table.error().message.find("image '"), std::string::npos) << table.error().message;
  }
}

TEST(ElfImage, TellsCodeSegmentsAndBuildId) {
  SymbolElf64 elf{EM_AARCH64, kBase, kCode, {}};
  elf.build_id = "\x01\x02\x03\x04\x05\x06\x07\x08";
  elf.lay_out();
  const TemporaryFile file{elf.file()};
  const auto image = read_elf_image(file.path());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->code, CodeSet::kAArch64);
  EXPECT_EQ(image->build_id, (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  ASSERT_EQ(image->segments.size(), 1u);
  EXPECT_EQ(image->segments[0].address, kBase);
  EXPECT_EQ(image->segments[0].file_offset, SymbolElf64::kCodeOffset);
  EXPECT_EQ(image->segments[0].file_bytes, kCode.size());
  EXPECT_TRUE(image->segments[0].executable);
}

TEST(ElfImage, CodeIsReadByAddressUpToTheSegmentsEnd) {
  std::string code = kCode;
  code[0xfe] = 'A';
  code[0xff] = 'B';
  const TemporaryFile file{SymbolElf64{EM_X86_64, kBase, code, {}}.file()};
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(read_code(file.path(), kBase + 0xfd, 2).value(), (Bytes{0x90, 'A'}));
  EXPECT_EQ(read_code(file.path(), kBase + 0xfe, 100).value(), (Bytes{'A', 'B'}));
  EXPECT_EQ(read_code(file.path(), kBase + 0x100, 1).value(), Bytes{});
  EXPECT_EQ(read_code(file.path(), kBase - 1, 1).value(), Bytes{});
  EXPECT_EQ(read_code(file.path(), kBase, ~std::uint64_t{0}).value().size(), 0x100u);
}

TEST(ElfImage, ASegmentBehindTheFilesEndIsAnError) {
  SymbolElf64 elf{EM_X86_64, kBase, kCode, {}};
  elf.segment.p_filesz = 1 << 30;
  const TemporaryFile file{elf.file()};
  EXPECT_FALSE(read_elf_image(file.path()));
  EXPECT_FALSE(read_code(file.path(), kBase, 1));
}

TEST(ElfImage, TellsWhereTheSectionTextBegins) {
  SymbolElf64 elf{EM_X86_64, kBase, kCode, {}};
  const TemporaryFile unnamed{elf.file()};
  EXPECT_EQ(read_elf_image(unnamed.path()).value().text, 0u);
  const std::string guest = std::string{VPMU_GUESTS} + "/hello.elf";
  const auto image = read_elf_image(guest);
  ASSERT_TRUE(image) << image.error().message;
  // Behind the multiboot header's twelve bytes, and aligned (guests/x86/guest.ld).
  EXPECT_EQ(image->text, 0x100010u);
}

/// Guests that are built here: the same program as ELF64 and, for multiboot, as ELF32.
TEST(ElfSymbols, AGuestHasTheSameOnesInBothOfItsFormats) {
  const std::string name = std::string{VPMU_GUESTS} + "/hello";
  const auto wide = SymbolTable::from_elf(name + ".elf");
  const auto narrow = SymbolTable::from_elf(name + ".mb32.elf");
  ASSERT_TRUE(wide && narrow);
  const Symbol* main = wide->find_name("guest_main");
  ASSERT_NE(main, nullptr);
  EXPECT_EQ(wide->find(main->start + main->size - 1), main);
  ASSERT_EQ(wide->symbols().size(), narrow->symbols().size());
  for (std::size_t i = 0; i < wide->symbols().size(); ++i) {
    EXPECT_EQ(wide->symbols()[i].start, narrow->symbols()[i].start);
    EXPECT_EQ(wide->symbols()[i].size, narrow->symbols()[i].size);
    EXPECT_EQ(wide->symbols()[i].name, narrow->symbols()[i].name);
  }
}
}  // namespace
