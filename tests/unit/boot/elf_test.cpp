// SPDX-License-Identifier: MIT
#include "machine/boot/elf.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

TEST(Elf, LoadableSegmentsAreFoundWithTheirContent) {
  test::Elf64Builder builder;
  builder.header.e_entry = 0x200004;
  builder.add(PT_LOAD, 0x200000, {1, 2, 3, 4}, 100);
  builder.add(PT_GNU_STACK, 0, {});
  builder.add(PT_LOAD, 0x400000, {5});
  const FileBytes file = builder.build();

  const auto elf = parse_elf(file, "x");
  ASSERT_TRUE(elf.has_value()) << elf.error().message;
  EXPECT_TRUE(elf->is_64);
  EXPECT_EQ(elf->entry, 0x200004u);
  ASSERT_EQ(elf->segments.size(), 2u);
  EXPECT_EQ(elf->segments[0].physical_address, 0x200000u);
  EXPECT_EQ(elf->segments[0].memory_size, 100u);
  EXPECT_EQ(FileBytes(elf->segments[0].content.begin(), elf->segments[0].content.end()),
            (FileBytes{1, 2, 3, 4}));
  EXPECT_EQ(elf->segments[1].content.size(), 1u);
}

TEST(Elf, SegmentsWithoutMemoryAreSkipped) {
  auto builder = test::freestanding_elf();
  builder.add(PT_LOAD, 0x300000, {});
  const FileBytes file = builder.build();
  EXPECT_EQ(parse_elf(file, "x")->segments.size(), 1u);
}

TEST(Elf, PvhEntryIsReadFromItsNoteBehindOtherNotes) {
  FileBytes notes;
  test::append(notes, Elf32_Nhdr{4, 3, 1});  // someone else's, with padding
  notes.insert(notes.end(), {'G', 'N', 'U', 0, 9, 9, 9, 0});
  const FileBytes pvh = test::pvh_note(0x100008);
  notes.insert(notes.end(), pvh.begin(), pvh.end());
  auto builder = test::freestanding_elf();
  builder.add(PT_NOTE, 0, notes);
  const FileBytes file = builder.build();
  EXPECT_EQ(parse_elf(file, "x")->pvh_entry, 0x100008u);
}

TEST(Elf, DamagedNotesAreNoNotes) {
  const FileBytes whole = test::pvh_note(0x100008);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    auto builder = test::freestanding_elf();
    builder.add(PT_NOTE, 0, FileBytes(whole.begin(), whole.begin() + length));
    const FileBytes file = builder.build();
    EXPECT_EQ(parse_elf(file, "x")->pvh_entry, std::nullopt) << length;
  }
  FileBytes huge;
  test::append(huge, Elf32_Nhdr{0xffffffff, 0xffffffff, 18});
  auto builder = test::freestanding_elf();
  builder.add(PT_NOTE, 0, huge);
  const FileBytes file = builder.build();
  EXPECT_EQ(parse_elf(file, "x")->pvh_entry, std::nullopt);
}

struct BadElf {
  const char* what;
  std::function<void(test::Elf64Builder&)> spoil;
  const char* message;  ///< part of it
};

TEST(Elf, WhatIsWrongIsSaidWithTheFileAndTheRemedy) {
  const BadElf cases[] = {
      {"other machine", [](auto& elf) { elf.header.e_machine = EM_AARCH64; }, "is for AArch64"},
      {"big-endian", [](auto& elf) { elf.header.e_ident[EI_DATA] = ELFDATA2MSB; }, "little-endian"},
      {"no class", [](auto& elf) { elf.header.e_ident[EI_CLASS] = 9; }, "32- or 64-bit"},
      {"object file", [](auto& elf) { elf.header.e_type = ET_REL; }, "an object file"},
      {"shared", [](auto& elf) { elf.header.e_type = ET_DYN; }, "-no-pie"},
      {"no program headers", [](auto& elf) { elf.parts.clear(); }, "no program headers"},
      {"small program headers", [](auto& elf) { elf.header.e_phentsize = 8; }, "too small"},
      {"large program headers", [](auto& elf) { elf.header.e_phentsize = 0xffff; }, "truncated"},
      {"segment behind the end", [](auto& elf) { elf.parts[0].header.p_offset = 1 << 20; },
       "truncated"},
      {"segment offset wraps", [](auto& elf) { elf.parts[0].header.p_offset = ~0ULL - 4; },
       "truncated"},
      {"larger in file than in memory", [](auto& elf) { elf.parts[0].header.p_memsz = 3; },
       "only 3 in memory"},
  };
  for (const BadElf& bad : cases) {
    auto builder = test::freestanding_elf();
    bad.spoil(builder);
    const FileBytes file = builder.build();
    const auto elf = parse_elf(file, "the-file");
    ASSERT_FALSE(elf.has_value()) << bad.what;
    EXPECT_NE(elf.error().message.find(bad.message), std::string::npos) << elf.error().message;
    EXPECT_NE(elf.error().message.find("'the-file'"), std::string::npos) << elf.error().message;
    EXPECT_EQ(elf.error().message.find('\n'), std::string::npos);
  }
}

TEST(Elf, EveryTruncationIsAnErrorOrLosesNothing) {
  const FileBytes whole = test::freestanding_elf().build();
  for (std::size_t length = SELFMAG; length < whole.size(); ++length) {
    const FileBytes part(whole.begin(), whole.begin() + length);
    EXPECT_FALSE(parse_elf(part, "x").has_value()) << length;
  }
}

}  // namespace
}  // namespace vpmu::machine::boot
