// SPDX-License-Identifier: MIT
#include "machine/boot/architecture.hpp"

#include <gtest/gtest.h>

#include "unit/boot/elf_builder.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

TEST(Architecture, ElfFilesSayTheirMachine) {
  EXPECT_EQ(architecture_of(test::arm64_elf().build()), Architecture::kArm64);
  EXPECT_EQ(architecture_of(test::freestanding_elf().build()), Architecture::kX86);
}

TEST(Architecture, ElfFilesOfTheOtherByteOrderAreArm64sToRefuse) {
  auto elf = test::arm64_elf();
  elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
  elf.header.e_machine = EM_AARCH64 << 8;
  EXPECT_EQ(architecture_of(elf.build()), Architecture::kArm64);
}

TEST(Architecture, LinuxImagesAreKnownByTheirMagic) {
  FileBytes file = test::linux_image(0, 4096, 0);
  EXPECT_EQ(architecture_of(file), Architecture::kArm64);
  file[56] ^= 1;
  EXPECT_EQ(architecture_of(file), Architecture::kX86);
}

TEST(Architecture, WhatIsTooShortToTellIsX86s) {
  const FileBytes elf = test::arm64_elf().build();
  for (std::size_t length = 0; length < 20; ++length) {
    EXPECT_EQ(architecture_of(Bytes{elf}.first(length)), Architecture::kX86) << length;
  }
  EXPECT_EQ(architecture_of(Bytes{elf}.first(20)), Architecture::kArm64);
}

TEST(Architecture, MissingFileIsAnErrorThatNamesIt) {
  const auto architecture = architecture_of_file("/nowhere/guest");
  ASSERT_FALSE(architecture.has_value());
  EXPECT_NE(architecture.error().message.find("'/nowhere/guest'"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::machine::boot
