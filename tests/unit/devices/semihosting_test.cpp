// SPDX-License-Identifier: MIT
#include "machine/devices/semihosting.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string_view>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

constexpr std::uint64_t kText = 0xffff'0000'0000'1000, kBlock = 0x2000;

class FakeMemory final : public SemihostingMemory {
 public:
  std::optional<std::uint8_t> peek_byte(std::uint64_t address) override {
    ++looks;
    if (endless) return 'x';
    const auto found = bytes.find(address);
    if (found == bytes.end()) return std::nullopt;
    return found->second;
  }
  void put(std::uint64_t address, std::string_view text) {
    for (const char c : text) bytes[address++] = static_cast<std::uint8_t>(c);
  }
  void put_word(std::uint64_t address, std::uint64_t word) {
    for (unsigned i = 0; i < 8; ++i) bytes[address + i] = static_cast<std::uint8_t>(word >> 8 * i);
  }
  std::map<std::uint64_t, std::uint8_t> bytes;
  bool endless = false;
  unsigned looks = 0;
};

class SemihostingTest : public testing::Test {
 protected:
  std::uint64_t call(std::uint32_t operation, std::uint64_t parameter) {
    return semihosting.call(operation, parameter, memory);
  }

  FakeMemory memory;
  FakeControl control;
  FakeSink console;
  Semihosting semihosting{control, console};
};

TEST_F(SemihostingTest, WritesOneCharacterOrAStringUpToItsZero) {
  using namespace std::string_view_literals;
  memory.put(kText, "ok\n\0no"sv);
  call(Semihosting::kWriteCharacter, kText);
  EXPECT_EQ(console.text, "o");
  call(Semihosting::kWriteString, kText);
  EXPECT_EQ(console.text, "ook\n");
}

TEST_F(SemihostingTest, StringsEndWhereMemoryEnds) {
  memory.put(kText, "cut");
  call(Semihosting::kWriteString, kText);
  EXPECT_EQ(console.text, "cut");
  call(Semihosting::kWriteCharacter, kText + 3);
  EXPECT_EQ(console.text, "cut");
}

TEST_F(SemihostingTest, EndlessStringsAreCutOff) {
  memory.endless = true;
  call(Semihosting::kWriteString, kText);
  EXPECT_EQ(console.text.size(), Semihosting::kLongestString);
  EXPECT_EQ(memory.looks, Semihosting::kLongestString);
}

TEST_F(SemihostingTest, AnApplicationsExitEndsTheRunWithItsSubcode) {
  memory.put_word(kBlock, Semihosting::kApplicationExit);
  memory.put_word(kBlock + 8, 42);
  call(Semihosting::kExit, kBlock);
  call(Semihosting::kExitExtended, kBlock);
  EXPECT_EQ(control.exits, (std::vector<std::uint32_t>{42, 42}));
}

TEST_F(SemihostingTest, OtherReasonsAndUnreadableBlocksEndTheRunWith1) {
  memory.put_word(kBlock, 0x20023);  // ADP_Stopped_RunTimeErrorUnknown
  memory.put_word(kBlock + 8, 42);
  call(Semihosting::kExit, kBlock);
  memory.put_word(kBlock, Semihosting::kApplicationExit);
  memory.bytes.erase(kBlock + 15);
  call(Semihosting::kExit, kBlock);
  call(Semihosting::kExit, 0);
  EXPECT_EQ(control.exits, (std::vector<std::uint32_t>{1, 1, 1}));
}

TEST_F(SemihostingTest, OtherOperationsFail) {
  memory.put(kText, "text");
  for (const std::uint32_t operation : {0x01U, 0x02U, 0x05U, 0x07U, 0x16U, 0x30U, 0xffff'ffffU}) {
    EXPECT_EQ(call(operation, kText), ~std::uint64_t{0}) << operation;
  }
  EXPECT_EQ(console.text, "");
  EXPECT_TRUE(control.exits.empty());
}

}  // namespace
}  // namespace vpmu::machine
