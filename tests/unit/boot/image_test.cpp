// SPDX-License-Identifier: MIT
#include "machine/boot/image.hpp"

#include <gtest/gtest.h>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

/// The message of the error that parsing gives; "" if there is none.
std::string error_of(const FileBytes& file) {
  const auto image = parse_image(file, "the-file");
  return image ? "" : image.error().message;
}

void expect_error(const FileBytes& file, const std::string& part) {
  const std::string message = error_of(file);
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_NE(message.find("'the-file'"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

TEST(Image, Elf64WithoutHeaderOrNoteIsFreestanding) {
  const FileBytes file = test::freestanding_elf().build();
  const auto image = parse_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kFreestanding);
  EXPECT_EQ(image->entry, 0x100000u);
  EXPECT_EQ(image->end(), 0x100010u);
}

TEST(Image, PvhNoteMakesItPvh) {
  auto builder = test::freestanding_elf();
  builder.add(PT_NOTE, 0, test::pvh_note(0x100004));
  const FileBytes file = builder.build();
  const auto image = parse_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kPvh);
  EXPECT_EQ(image->entry, 0x100004u);
}

template <class Builder>
void expect_multiboot_comes_first() {
  Builder builder;
  builder.header.e_entry = 0x100010;
  FileBytes content = test::multiboot_header(0);
  content.resize(64);
  builder.add(PT_LOAD, 0x100000, content, 4096);
  builder.add(PT_NOTE, 0, test::pvh_note(0x100004));
  const FileBytes file = builder.build();
  const auto image = parse_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kMultiboot);
  EXPECT_EQ(image->entry, 0x100010u);
}

TEST(Image, MultibootHeaderComesBeforePvhInBothClasses) {
  expect_multiboot_comes_first<test::Elf32Builder>();
  expect_multiboot_comes_first<test::Elf64Builder>();
}

TEST(Image, VirtualMultibootEntryIsTranslatedToPhysical) {
  test::Elf64Builder builder;
  builder.header.e_entry = 0xffffffff80000010;
  FileBytes content = test::multiboot_header(0);
  content.resize(64);
  auto& part = builder.add(PT_LOAD, 0x200000, content);
  part.header.p_vaddr = 0xffffffff80000000;
  const FileBytes file = builder.build();
  EXPECT_EQ(parse_image(file, "x")->entry, 0x200010u);
}

TEST(Image, AddressFieldsLoadAFileThatIsNotElf) {
  // 8 bytes of something, the header at 8, code behind it; BSS up to 0x200100.
  FileBytes file(8);
  const FileBytes header =
      test::multiboot_header(1 << 16, {0x200008, 0x200000, 0x200038, 0x200100, 0x200028});
  file.insert(file.end(), header.begin(), header.end());
  file.resize(100);
  const auto image = parse_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kMultiboot);
  EXPECT_EQ(image->entry, 0x200028u);
  ASSERT_EQ(image->segments.size(), 1u);
  EXPECT_EQ(image->segments[0].address, 0x200000u);
  EXPECT_EQ(image->segments[0].content.size(), 0x38u);
  EXPECT_EQ(image->segments[0].memory_size, 0x100u);
}

TEST(Image, AddressFieldsWithoutEndsLoadTheWholeFile) {
  FileBytes file = test::multiboot_header(1 << 16, {0x200000, 0x200000, 0, 0, 0x200020});
  file.resize(100);
  EXPECT_EQ(parse_image(file, "x")->segments[0].memory_size, 100u);
}

TEST(Image, WrongAddressFieldsAreErrors) {
  struct Case {
    std::vector<std::uint32_t> fields;
    const char* message;
  };
  const Case cases[] = {
      {{0x100000, 0x200000, 0, 0, 0x200000}, "header before load address"},
      {{0x200100, 0x200000, 0, 0, 0x200000}, "before the file's first byte"},
      {{0x200000, 0x200000, 0x1fffff, 0, 0x200000}, "load end before load address"},
      {{0x200000, 0x200000, 0x300000, 0, 0x200000}, "truncated"},
      {{0x200000, 0x200000, 0x200010, 0x200008, 0x200000}, "BSS end"},
      {{0x200000, 0x200000, 0x200000, 0, 0x200000}, "nothing to load"},
      {{0x200000, 0x200000, 0, 0, 0x300000}, "entry point 0x300000"},
  };
  for (const Case& c : cases) expect_error(test::multiboot_header(1 << 16, c.fields), c.message);
}

TEST(Image, UnknownMultibootRequirementsAreRefused) {
  expect_error(test::multiboot_header(1 << 4), "requires flags 0x10");
}

TEST(Image, OverlappingSegmentsAreRefused) {
  auto builder = test::freestanding_elf();
  builder.add(PT_LOAD, 0xff000, FileBytes(8), 0x1001);
  expect_error(builder.build(), "0xff000 and 0x100000 overlap");
  builder.parts.back().header.p_memsz = 0x1000;
  EXPECT_EQ(error_of(builder.build()), "");
}

TEST(Image, SegmentBeyondTheAddressSpaceIsRefused) {
  auto builder = test::freestanding_elf();
  builder.add(PT_LOAD, ~0ULL - 10, FileBytes(8), 100);
  expect_error(builder.build(), "address space");
}

TEST(Image, EntryMustBeInASegmentBelow4GiB) {
  auto outside = test::freestanding_elf();
  outside.header.e_entry = 0x100010;
  expect_error(outside.build(), "in none of its segments");

  test::Elf64Builder high;
  high.header.e_entry = 0x100000000;
  high.add(PT_LOAD, 0x100000000, FileBytes(8));
  expect_error(high.build(), "not below 4 GiB");

  auto note = test::freestanding_elf();
  note.add(PT_NOTE, 0, test::pvh_note(0x500000));
  expect_error(note.build(), "in none of its segments");
}

TEST(Image, FreestandingImageMustRunWhereItIsLoaded) {
  auto builder = test::freestanding_elf();
  builder.header.e_entry = 0xffffffff80100000;
  builder.parts[0].header.p_vaddr = 0xffffffff80100000;
  expect_error(builder.build(), "linked to run at 0xffffffff80100000");
}

TEST(Image, Bare32BitElfIsRefused) {
  test::Elf32Builder builder;
  builder.header.e_entry = 0x100000;
  builder.add(PT_LOAD, 0x100000, FileBytes(16));
  expect_error(builder.build(), "needs a multiboot header");
}

TEST(Image, ElfWithoutSegmentsIsRefused) {
  test::Elf64Builder builder;
  builder.add(PT_NOTE, 0, FileBytes(16));
  expect_error(builder.build(), "no loadable segment");
}

TEST(Image, OtherKindsOfFilesAreRecognised) {
  FileBytes linux_image(0x300);
  std::copy_n("HdrS", 4, linux_image.begin() + 0x202);
  expect_error(FileBytes{'#', '!', '/', 'b', 'i', 'n'}, "neither an ELF file");
  expect_error(linux_image, "bzImage is not supported yet");
  FileBytes arm(0x40);
  std::copy_n("ARM\x64", 4, arm.begin() + 0x38);
  expect_error(arm, "arm64 kernel");
  expect_error(FileBytes{0x1f, 0x8b, 8, 0}, "compressed");
}

}  // namespace
}  // namespace vpmu::machine::boot
