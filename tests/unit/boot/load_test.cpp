// SPDX-License-Identifier: MIT
#include "machine/boot/load.hpp"

#include <gtest/gtest.h>

#include "unit/boot/elf_builder.hpp"
#include "unit/boot/load_fixture.hpp"

namespace vpmu::machine::boot {
namespace {

using test::FileBytes;

constexpr std::uint64_t kSize = 16 << 20;

class LoadTest : public test::LoadFixture {
 protected:
  static FileBytes multiboot_elf() {
    test::Elf32Builder builder;
    builder.header.e_entry = 0x100010;
    FileBytes content = test::multiboot_header(0);
    content.resize(64, 0x90);
    builder.add(PT_LOAD, 0x100000, content, 8192);
    return builder.build();
  }

  LoadTest() : LoadFixture{kSize, kPcMemory} {}
};

TEST_F(LoadTest, MultibootImageStartsWithItsInformation) {
  const std::string path = write("multiboot", multiboot_elf());
  const auto state = load({path, "one two", {}}, memory);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(state->rip, 0x100010u);
  EXPECT_EQ(state->rax, 0x2badb002u);
  EXPECT_EQ(at<std::uint32_t>(0x100000), 0x1badb002u);
  EXPECT_EQ(text(at<std::uint32_t>(state->rbx + 16)), path + " one two");
  EXPECT_GE(state->rbx, state->boot_area);
}

TEST_F(LoadTest, CommandLineWithoutArgumentsIsTheNameAlone) {
  const std::string path = write("multiboot", multiboot_elf());
  const auto state = load({path, "", {}}, memory);
  EXPECT_EQ(text(at<std::uint32_t>(state->rbx + 16)), path);
}

TEST_F(LoadTest, ModulesArePageAlignedAndWhole) {
  const std::string module = write("module", FileBytes(5000, 0x5a));
  const auto state = load({write("multiboot", multiboot_elf()), "", {module}}, memory);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  ASSERT_EQ(at<std::uint32_t>(state->rbx + 20), 1u);
  const std::uint32_t list = at<std::uint32_t>(state->rbx + 24);
  const std::uint32_t begin = at<std::uint32_t>(list);
  EXPECT_EQ(begin % 4096, 0u);
  EXPECT_EQ(at<std::uint32_t>(list + 4) - begin, 5000u);
  EXPECT_EQ(at<std::uint8_t>(begin + 4999), 0x5a);
  EXPECT_EQ(text(at<std::uint32_t>(list + 8)), module);
}

TEST_F(LoadTest, PvhImageStartsWithItsStartInformation) {
  auto builder = test::freestanding_elf();
  builder.add(PT_NOTE, 0, test::pvh_note(0x100004));
  const auto state = load({write("pvh", builder.build()), "", {}}, memory);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_FALSE(state->long_mode);
  EXPECT_EQ(state->rip, 0x100004u);
  EXPECT_EQ(at<std::uint32_t>(state->rbx), 0x336ec578u);
}

TEST_F(LoadTest, FreestandingImageHasItsLow4GiBMappedOneToOne) {
  const auto state = load({write("elf64", test::freestanding_elf().build()), "", {}}, memory);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_TRUE(state->long_mode);
  EXPECT_EQ(at<std::uint32_t>(state->rdi + 16) != 0, true);
  const std::uint64_t pointers = at<std::uint64_t>(state->cr3) & ~0xfffULL;
  for (const std::uint64_t address : {0x0ULL, 0x200000ULL, 0x12345678ULL, 0xfee00000ULL}) {
    const std::uint64_t directory = at<std::uint64_t>(pointers + (address >> 30) * 8) & ~0xfffULL;
    const std::uint64_t entry = at<std::uint64_t>(directory + (address >> 21 & 511) * 8);
    EXPECT_EQ(entry, (address & ~0x1fffffULL) | 0x83);
  }
}

TEST_F(LoadTest, FreestandingStackIsAlignedAsAfterACall) {
  const auto state = load({write("elf64", test::freestanding_elf().build()), "", {}}, memory);
  EXPECT_EQ(state->rsp % 16, 8u);
  EXPECT_GE(state->rsp - 65536 + 8, state->boot_area);
  EXPECT_EQ(at<std::uint64_t>(state->rsp), 0u);
}

TEST_F(LoadTest, DescriptorsBelongToTheirSelectors) {
  const auto state = load({write("elf64", test::freestanding_elf().build()), "", {}}, memory);
  // Bits 43:40 type, 44 S, 47 P, 53 L, 54 D.
  EXPECT_EQ(at<std::uint64_t>(state->gdt), 0u);
  EXPECT_EQ(at<std::uint64_t>(state->gdt + kCode32Selector) >> 40 & 0xffff, 0xcf9bu);
  EXPECT_EQ(at<std::uint64_t>(state->gdt + kDataSelector) >> 40 & 0xffff, 0xcf93u);
  EXPECT_EQ(at<std::uint64_t>(state->gdt + kCode64Selector) >> 40 & 0xffff, 0xaf9bu);
  const std::uint64_t tss = at<std::uint64_t>(state->gdt + kTssSelector);
  EXPECT_EQ((tss >> 16 & 0xffffff) | (tss >> 56 << 24), state->tss);
}

TEST_F(LoadTest, WhatIsNotInTheFileIsNeverTouched) {
  test::Elf64Builder builder = test::freestanding_elf();
  builder.parts[0].header.p_memsz = 8 << 20;
  EXPECT_TRUE(load({write("bss", builder.build()), "", {}}, memory).has_value());
  EXPECT_EQ(at<std::uint64_t>(0x100010), 0u);
}

TEST_F(LoadTest, ImagesThatDoNotFitSayHowMuchIsNeeded) {
  struct Case {
    std::uint64_t address, size;
    const char* message;
  };
  const Case cases[] = {
      {0x100000, 32 << 20, "at least 34M"},    {0x2000000, 4096, "at least 34M"},
      {0xc0000000, 4096, "where devices are"}, {0xbffff000, 8192, "where devices are"},
      {0xfee00000, 4096, "where devices are"}, {0x100000000, 4096, "at least 3074M"},
  };
  for (const Case& c : cases) {
    test::Elf64Builder builder;
    builder.header.e_entry = 0x10000;
    builder.add(PT_LOAD, 0x10000, FileBytes(16));
    builder.add(PT_LOAD, c.address, FileBytes(16), c.size);
    const auto state = load({write("big", builder.build()), "", {}}, memory);
    ASSERT_FALSE(state.has_value()) << c.address;
    EXPECT_NE(state.error().message.find(c.message), std::string::npos) << state.error().message;
  }
}

TEST_F(LoadTest, NoRoomBesideTheImageIsAnError) {
  auto builder = test::freestanding_elf();
  builder.parts[0].header.p_memsz = kSize - 0x100000;
  const auto full = load({write("full", builder.build()), "", {}}, memory);
  ASSERT_FALSE(full.has_value());
  EXPECT_NE(full.error().message.find("--mem"), std::string::npos);

  const std::string module = write("large-module", FileBytes(kSize));
  const auto state = load({write("multiboot", multiboot_elf()), "", {module}}, memory);
  ASSERT_FALSE(state.has_value());
  EXPECT_EQ(state.error().message.rfind("initrd '" + module + "'", 0), 0u);
}

TEST_F(LoadTest, MissingInitrdIsNamed) {
  const auto state = load({write("multiboot", multiboot_elf()), "", {"/nowhere"}}, memory);
  ASSERT_FALSE(state.has_value());
  EXPECT_NE(state.error().message.find("initrd '/nowhere'"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::machine::boot
