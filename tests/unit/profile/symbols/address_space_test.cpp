// SPDX-License-Identifier: MIT
#include "profile/symbols/address_space.hpp"

#include <gtest/gtest.h>

#include <string>

#include "symbol_elf.hpp"

namespace {
using vpmu::profile::AddressInfo;
using vpmu::profile::AddressMode;
using vpmu::profile::AddressOwner;
using vpmu::profile::AddressSpaces;
using vpmu::profile::CodeMapping;
using vpmu::profile::SymbolSources;
using vpmu::test::SymbolElf64;
using vpmu::test::TemporaryFile;

constexpr std::uint64_t kLinked = 0x400000;
constexpr std::uint64_t kOffset = SymbolElf64::kCodeOffset;
constexpr AddressOwner kUser{AddressMode::kGuestUser, 1, 10};
constexpr AddressOwner kKernel{AddressMode::kGuestKernel, 1, 10};

/// Code with the functions first and second, of 16 bytes each.
SymbolElf64 program(const std::string& prefix = "") {
  return {EM_X86_64,
          kLinked,
          std::string(32, '\x90'),
          {{prefix + "first", kLinked, 16}, {prefix + "second", kLinked + 16, 16}}};
}

AddressSpaces spaces_with(const SymbolSources& sources = {}) {
  auto spaces = AddressSpaces::create(sources);
  EXPECT_TRUE(spaces) << spaces.error().message;
  return std::move(*spaces);
}

std::string name_of(const AddressInfo& info) {
  return info.symbol == nullptr ? "-" : info.symbol->name;
}

TEST(AddressSpaces, NothingIsMappedAtFirst) {
  AddressSpaces spaces = spaces_with();
  const AddressInfo info = spaces.find(kUser, 0x1234);
  EXPECT_EQ(info.image, nullptr);
  EXPECT_EQ(info.symbol, nullptr);
  EXPECT_EQ(info.linked, 0x1234u);
}

TEST(AddressSpaces, AMappedFileGivesSymbolsAndLinkedAddresses) {
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x7f0000, 32, kOffset, file.path(), {}});
  const AddressInfo info = spaces.find(kUser, 0x7f0011);
  ASSERT_NE(info.image, nullptr);
  EXPECT_EQ(info.image->path, file.path());
  EXPECT_EQ(info.linked, kLinked + 0x11);
  EXPECT_EQ(info.in_symbols, info.linked);
  EXPECT_EQ(name_of(info), "second");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x7f000f)), "first");
  EXPECT_EQ(spaces.find(kUser, 0x7f0020).image, nullptr);
  EXPECT_EQ(spaces.find(kUser, 0x7effff).image, nullptr);
  EXPECT_TRUE(spaces.problems().empty());
}

TEST(AddressSpaces, TheSameAddressIsSomethingElseForSomebodyElse) {
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, kLinked, 32, kOffset, file.path(), {}});
  EXPECT_EQ(name_of(spaces.find(kUser, kLinked)), "first");
  for (const AddressOwner& other :
       {AddressOwner{AddressMode::kGuestUser, 1, 11}, AddressOwner{AddressMode::kGuestUser, 2, 10},
        AddressOwner{AddressMode::kHostUser, 1, 10}}) {
    EXPECT_EQ(spaces.find(other, kLinked).image, nullptr);
  }
}

TEST(AddressSpaces, KernelsAreThoseOfAllProcessesAndOfOneMachine) {
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with();
  spaces.map({{AddressMode::kGuestKernel, 1, ~0u}, kLinked, 32, kOffset, file.path(), {}});
  EXPECT_EQ(name_of(spaces.find(kKernel, kLinked)), "first");
  EXPECT_EQ(name_of(spaces.find({AddressMode::kGuestKernel, 2, 10}, kLinked)), "-");
}

TEST(AddressSpaces, BranchesFromUserToKernelAreFoundOnTheOtherSide) {
  const TemporaryFile user{program("user_").file()}, kernel{program("kernel_").file()};
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, kOffset, user.path(), {}});
  spaces.map({kKernel, 0x8000, 32, kOffset, kernel.path(), {}});
  EXPECT_EQ(name_of(spaces.find(kUser, 0x8010)), "kernel_second");
  EXPECT_EQ(name_of(spaces.find(kKernel, 0x1000)), "user_first");
}

TEST(AddressSpaces, ALaterMappingReplacesTheEarlierOneWhereItIs) {
  const TemporaryFile old{program("old_").file()}, fresh{program("new_").file()};
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, kOffset, old.path(), {}});
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1008)), "old_first");
  spaces.map({kUser, 0x1008, 16, kOffset, fresh.path(), {}});
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1007)), "old_first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1008)), "new_first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1017)), "new_first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1018)), "old_second");
  EXPECT_EQ(spaces.find(kUser, 0x1018).linked, kLinked + 0x18);
  spaces.map({kUser, 0, ~std::uint64_t{0}, 0, "[everything]", {}});
  EXPECT_EQ(spaces.find(kUser, 0x1018).image->name, "[everything]");
}

TEST(AddressSpaces, AMappingMayGoUpToTheEndOfTheAddressSpace) {
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, ~std::uint64_t{0} - 15, 100, 0, "[top]", {}});
  EXPECT_NE(spaces.find(kUser, ~std::uint64_t{0}).image, nullptr);
  EXPECT_EQ(spaces.find(kUser, 0).image, nullptr);
  spaces.map({kUser, 0, 0, 0, "[empty]", {}});
  EXPECT_EQ(spaces.find(kUser, 0).image, nullptr);
}

TEST(AddressSpaces, AForkedProcessHasItsParentsMappings) {
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with();
  const AddressOwner child{AddressMode::kGuestUser, 1, 20};
  spaces.map({kUser, kLinked, 32, kOffset, file.path(), {}});
  spaces.fork(kUser, child);
  spaces.map({kUser, kLinked, 32, 0, "[gone]", {}});
  EXPECT_EQ(name_of(spaces.find(child, kLinked)), "first");
  spaces.map({child, kLinked + 16, 16, 0, "[of the child]", {}});
  EXPECT_EQ(spaces.find(child, kLinked + 16).image->name, "[of the child]");
  EXPECT_EQ(spaces.find(kUser, kLinked + 16).image->name, "[gone]");
  spaces.unmap(child);
  EXPECT_EQ(spaces.find(child, kLinked).image, nullptr);
  EXPECT_EQ(spaces.find(kUser, kLinked).image->name, "[gone]");
}

TEST(AddressSpaces, AProcessThatRunsAnotherProgramHasNothingMapped) {
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, 0, "[old]", {}});
  spaces.map({kKernel, 0x8000, 32, 0, "[kernel]", {}});
  spaces.unmap(kUser);
  EXPECT_EQ(spaces.find(kUser, 0x1000).image, nullptr);
  EXPECT_NE(spaces.find(kUser, 0x8000).image, nullptr);
}

TEST(AddressSpaces, GuestKernelsHaveTheSymbolsThatCameWithTheProfile) {
  AddressSpaces spaces =
      spaces_with({.recorded_guest_kallsyms = "ffffffff81000000 T _stext\nffffffff81000100 t f\n"});
  spaces.map({{AddressMode::kGuestKernel, 1, 0},
              0xffffffff81000000,
              0x1000,
              0xffffffff81000000,
              "[guest.kernel.kallsyms.1]_text",
              {}});
  const AddressInfo info = spaces.find(kKernel, 0xffffffff81000123);
  EXPECT_EQ(name_of(info), "f");
  EXPECT_EQ(info.image->name, "[guest.kernel.kallsyms.1]");
  EXPECT_TRUE(info.image->kernel);
  EXPECT_EQ(info.linked, 0xffffffff81000123);
  // A kernel's module that is in no file here.
  spaces.map({{AddressMode::kGuestKernel, 1, 0}, 0xffffffff81000100, 0x10, 0, "[module]", {}});
  EXPECT_EQ(name_of(spaces.find(kKernel, 0xffffffff81000105)), "f");
}

TEST(AddressSpaces, KernelSymbolsCountWithoutAMappingToo) {
  const TemporaryFile kallsyms{"ffffffff81000000 T kernel_function\n"};
  AddressSpaces spaces = spaces_with({.guest_kallsyms = kallsyms.path()});
  const AddressInfo info = spaces.find(kKernel, 0xffffffff81000010);
  EXPECT_EQ(name_of(info), "kernel_function");
  ASSERT_NE(info.image, nullptr);
  EXPECT_EQ(info.image->name, "[guest.kernel.kallsyms]");
  EXPECT_EQ(name_of(spaces.find({AddressMode::kHostKernel, 0, 0}, 0xffffffff81000010)), "-");
}

TEST(AddressSpaces, AnImageThatAProcessHasMappedAtTheKernelsAddressIsTheKernels) {
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with({.recorded_guest_kallsyms = "400000 T first\n400010 T x\n"});
  spaces.map({kKernel, kLinked, 0x1000, kLinked, "[guest.kernel.kallsyms]_text", {}});
  spaces.map({kUser, kLinked, 32, kOffset, file.path(), {}});
  const AddressInfo info = spaces.find(kKernel, kLinked);
  EXPECT_EQ(info.image->path, file.path());
  EXPECT_EQ(info.linked, kLinked);
  EXPECT_EQ(name_of(info), "first");
  EXPECT_EQ(info.symbol->size, 16u);
}

TEST(AddressSpaces, AKernelThatWasMovedHasTheAddressesOfItsImage) {
  constexpr std::uint64_t kMoved = 0x2000000;
  const TemporaryFile file{program().file()};
  AddressSpaces spaces = spaces_with(
      {.image = file.path(), .recorded_guest_kallsyms = "2400000 T first\n2400010 T second\n"});
  const AddressInfo info = spaces.find(kKernel, kLinked + kMoved + 0x11);
  EXPECT_EQ(name_of(info), "second");
  EXPECT_EQ(info.linked, kLinked + 0x11);
  EXPECT_EQ(info.in_symbols, kLinked + kMoved + 0x11);
}

TEST(AddressSpaces, AnImageThatCannotBeReadIsAProblemAndNoError) {
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, 0, "/no/such\nfile", {}});
  EXPECT_TRUE(spaces.problems().empty());
  const AddressInfo info = spaces.find(kUser, 0x1010);
  ASSERT_NE(info.image, nullptr);
  EXPECT_EQ(info.image->name, "/no/such\\x0afile");
  EXPECT_EQ(info.image->path, "");
  EXPECT_EQ(info.linked, 0x1010u);
  EXPECT_EQ(spaces.lines(*info.image), nullptr);
  ASSERT_EQ(spaces.problems().size(), 1u);
  EXPECT_NE(spaces.problems()[0].find("/no/such?file"), std::string::npos);
  spaces.find(kUser, 0x1011);
  EXPECT_EQ(spaces.problems().size(), 1u);
}

TEST(AddressSpaces, MemoryWithoutAFileIsNoProblem) {
  AddressSpaces spaces = spaces_with();
  for (const char* name : {"[vdso]", "//anon", "", "anon_inode:[x]"}) {
    spaces.map({kUser, 0x1000, 32, 0, name, {}});
    EXPECT_EQ(spaces.find(kUser, 0x1000).symbol, nullptr);
  }
  EXPECT_TRUE(spaces.problems().empty());
}

TEST(AddressSpaces, AnotherBuildOfAnImageIsNotUsed) {
  SymbolElf64 elf = program();
  elf.build_id = "\x01\x02\x03\x04";
  elf.lay_out();
  const TemporaryFile file{elf.file()};
  const std::vector<std::uint8_t> same{1, 2, 3, 4}, other{1, 2, 3, 5};
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, kOffset, file.path(), same});
  spaces.map({kUser, 0x2000, 32, kOffset, file.path(), other});
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1000)), "first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x2000)), "-");
  ASSERT_EQ(spaces.problems().size(), 1u);
  EXPECT_NE(spaces.problems()[0].find("build-id"), std::string::npos);
}

TEST(AddressSpaces, AnImageElsewhereTakesThePlaceOfThatName) {
  const TemporaryFile here{program("here_").file()}, other{program("other_").file()};
  AddressSpaces spaces = spaces_with({.image = here.path()});
  const std::string file_name = here.path().substr(here.path().rfind('/') + 1);
  spaces.map({kUser, 0x1000, 32, kOffset, "/elsewhere/" + file_name, {}});
  spaces.map({kUser, 0x2000, 32, kOffset, other.path(), {}});
  spaces.map({kUser, 0x3000, 32, kOffset, "/not/there", {}});
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1000)), "here_first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x2000)), "other_first");
  EXPECT_EQ(name_of(spaces.find(kUser, 0x3000)), "here_first");
  EXPECT_TRUE(spaces.problems().empty());
}

TEST(AddressSpaces, ASymbolFileGoesBeforeEverythingElse) {
  const TemporaryFile file{program().file()}, symbols{"1000 8 named_by_hand\n"};
  AddressSpaces spaces = spaces_with({.symbols = symbols.path()});
  spaces.map({kUser, 0x1000, 32, kOffset, file.path(), {}});
  const AddressInfo named = spaces.find(kUser, 0x1004);
  EXPECT_EQ(name_of(named), "named_by_hand");
  EXPECT_EQ(named.in_symbols, 0x1004u);
  EXPECT_EQ(named.linked, kLinked + 4);
  EXPECT_EQ(name_of(spaces.find(kUser, 0x1008)), "first");
  EXPECT_EQ(name_of(spaces.find(AddressOwner{}, 0x1004)), "named_by_hand");
}

TEST(AddressSpaces, FilesThatTheUserNamesMustBeReadable) {
  for (const SymbolSources& sources :
       {SymbolSources{.image = "/no/such"}, SymbolSources{.symbols = "/no/such"},
        SymbolSources{.guest_kallsyms = "/no/such"}, SymbolSources{.host_kallsyms = "/no/such"}}) {
    const auto spaces = AddressSpaces::create(sources);
    ASSERT_FALSE(spaces);
    EXPECT_NE(spaces.error().message.find("'/no/such'"), std::string::npos);
  }
}

TEST(AddressSpaces, AHostileProfileCannotMakeAKernelLookForItselfForEver) {
  AddressSpaces spaces = spaces_with();
  spaces.map({kUser, 0x1000, 32, 0, "[guest.kernel.kallsyms]_text", {}});
  spaces.map({kKernel, 0x1000, 32, 0, "[guest.kernel.kallsyms]_text", {}});
  EXPECT_EQ(spaces.find(kUser, 0x1000).symbol, nullptr);
  EXPECT_EQ(spaces.find(kKernel, 0x1000).symbol, nullptr);
}
}  // namespace
