// SPDX-License-Identifier: MIT
#include "machine/boot/arm64_image.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

void expect_error(const FileBytes& file, const char* part) {
  const auto image = parse_arm64_image(file, "the-file");
  ASSERT_FALSE(image.has_value()) << part;
  EXPECT_NE(image.error().message.find(part), std::string::npos) << image.error().message;
  EXPECT_NE(image.error().message.find("'the-file'"), std::string::npos) << image.error().message;
  EXPECT_EQ(image.error().message.find('\n'), std::string::npos);
}

TEST(Arm64Image, FreestandingElfBeginsAtItsEntry) {
  const FileBytes file = test::arm64_elf().build();
  const auto image = parse_arm64_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kFreestanding);
  EXPECT_EQ(image->entry, 0x4000'0000u);
  EXPECT_EQ(image->segments.size(), 1u);
}

TEST(Arm64Image, ElfLinkedElsewhereBeginsAtThePhysicalAddressOfItsEntry) {
  auto elf = test::arm64_elf();
  elf.parts[0].header.p_vaddr = 0xffff'0000'4000'0000;
  elf.header.e_entry = 0xffff'0000'4000'0008;
  const FileBytes file = elf.build();
  EXPECT_EQ(parse_arm64_image(file, "x")->entry, 0x4000'0008u);
}

TEST(Arm64Image, PhysicalEntryOfAnElfLinkedElsewhereIsTakenAsItIs) {
  auto elf = test::arm64_elf();
  elf.parts[0].header.p_vaddr = 0xffff'0000'4000'0000;
  elf.header.e_entry = 0x4000'0004;
  const FileBytes file = elf.build();
  EXPECT_EQ(parse_arm64_image(file, "x")->entry, 0x4000'0004u);
}

TEST(Arm64Image, EntryMayLieAbove4GiB) {
  auto elf = test::arm64_elf();
  elf.parts[0].header.p_vaddr = elf.parts[0].header.p_paddr = 0x2'0000'0000;
  elf.header.e_entry = 0x2'0000'0000;
  const FileBytes file = elf.build();
  EXPECT_EQ(parse_arm64_image(file, "x")->entry, 0x2'0000'0000u);
}

TEST(Arm64Image, LinuxImageLiesAtItsOffsetFromTheStartOfRam) {
  const FileBytes file = test::linux_image(0x80000, 0x200000, 0b1010);
  const auto image = parse_arm64_image(file, "x");
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->protocol, Protocol::kLinux);
  EXPECT_EQ(image->entry, 0x4008'0000u);
  ASSERT_EQ(image->segments.size(), 1u);
  EXPECT_EQ(image->segments[0].address, 0x4008'0000u);
  EXPECT_EQ(image->segments[0].memory_size, 0x200000u);
  EXPECT_EQ(image->segments[0].content.size(), file.size());
}

TEST(Arm64Image, LinuxImageIsNeverSmallerThanItsFile) {
  const FileBytes file = test::linux_image(0, 16, 0);
  EXPECT_EQ(parse_arm64_image(file, "x")->segments[0].memory_size, file.size());
}

TEST(Arm64Image, WhatIsWrongWithALinuxImageIsSaid) {
  expect_error(test::linux_image(0, 4096, 1), "big-endian");
  expect_error(test::linux_image(0x1004, 4096, 0), "text offset 0x1004");
  expect_error(test::linux_image(0x200000, 4096, 0), "text offset 0x200000");
  expect_error(test::linux_image(0x1000, ~std::uint64_t{0}, 0), "does not fit the address space");
  FileBytes header = test::linux_image(0, 4096, 0);
  header.resize(61);
  expect_error(header, "truncated");
}

TEST(Arm64Image, WhatIsWrongWithAnElfFileIsSaid) {
  struct Case {
    const char* message;
    std::function<void(test::Elf64Builder&)> spoil;
  };
  const Case cases[] = {
      {"this machine is arm64; build it for AArch64",
       [](auto& elf) { elf.header.e_machine = EM_X86_64; }},
      {"little-endian", [](auto& elf) { elf.header.e_ident[EI_DATA] = ELFDATA2MSB; }},
      {"-no-pie", [](auto& elf) { elf.header.e_type = ET_DYN; }},
      {"in none of its segments", [](auto& elf) { elf.header.e_entry = 0x5000'0000; }},
      {"not a multiple of 4", [](auto& elf) { elf.header.e_entry += 2; }},
      {"no loadable segment", [](auto& elf) { elf.parts[0].header.p_type = PT_NOTE; }},
      {"overlap", [](auto& elf) { elf.add(PT_LOAD, 0x4000'0008, FileBytes(16)); }},
  };
  for (const Case& bad : cases) {
    auto elf = test::arm64_elf();
    bad.spoil(elf);
    expect_error(elf.build(), bad.message);
  }
}

TEST(Arm64Image, Ilp32IsRefused) {
  test::Elf32Builder elf;
  elf.header.e_machine = EM_AARCH64;
  elf.add(PT_LOAD, 0x4000'0000, FileBytes(16));
  expect_error(elf.build(), "64-bit ABI");
}

}  // namespace
}  // namespace vpmu::machine::boot
