// SPDX-License-Identifier: MIT
#include "machine/arm64/operation.hpp"

#include <random>

#include <gtest/gtest.h>

#include "machine/arm64/instruction_kinds.hpp"
#include "machine/arm64/memory_operand.hpp"
#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::arm64::SpeOperationType;
using Class = SpeOperationType::Class;

TEST(ArmOperation, IsClassifiedAsRecordsHaveIt) {
  const struct {
    std::uint32_t word;
    SpeOperationType type;
  } rows[] = {
      {code::kNop, {Class::kOther, 0}},
      {code::add(1, 2, 3), {Class::kOther, 0}},
      {0x9a82'0020, {Class::kOther, 1}},  // CSEL X0, X1, X2, EQ
      {0xfa41'0800, {Class::kOther, 1}},  // CCMP X0, #1, #0, EQ
      {0x1e62'0c20, {Class::kOther, 1}},  // FCSEL D0, D1, D2, EQ
      {0x1e61'0400, {Class::kOther, 1}},  // FCCMP D0, D1, #0, EQ
      {0x1e62'2820, {Class::kOther, 0}},  // FADD D0, D1, D2
      {code::b(4), {Class::kBranch, 0}},
      {code::bl(4), {Class::kBranch, 0}},
      {code::b_ne(4), {Class::kBranch, 1}},
      {code::cbnz(1, 4), {Class::kBranch, 1}},
      {code::tbz(1, 1, 4), {Class::kBranch, 1}},
      {code::br(1), {Class::kBranch, 2}},
      {code::kRet, {Class::kBranch, 2}},
      {code::kEret, {Class::kBranch, 2}},
      {code::ldr(1, 2), {Class::kLoadStore, 0}},
      {code::str(1, 2), {Class::kLoadStore, 1}},
      {code::ldp(1, 2, 3), {Class::kLoadStore, 0}},
      {0x3dc0'0020, {Class::kLoadStore, 4}},  // LDR Q0, [X1]
      {0x4c00'7820, {Class::kLoadStore, 5}},  // ST1 {V0.4S}, [X1]
      {code::ldxr(1, 2), {Class::kLoadStore, 0x0a}},
      {code::stxr(0, 1, 2), {Class::kLoadStore, 0x0b}},
      {0xc85f'fc41, {Class::kLoadStore, 0x1a}},  // LDAXR X1, [X2]
      {0xc800'fc41, {Class::kLoadStore, 0x1b}},  // STLXR W0, X1, [X2]
      {code::ldar(1, 2), {Class::kLoadStore, 0x12}},
      {code::stlr(1, 2), {Class::kLoadStore, 0x13}},
      {0xf8e2'0041, {Class::kLoadStore, 0x16}},  // LDADDAL X2, X1, [X2]
      {0xf8bf'c041, {Class::kLoadStore, 0x12}},  // LDAPR X1, [X2]
  };
  for (const auto& row : rows) {
    const SpeOperationType type = operation_type(row.word);
    EXPECT_EQ(type.of, row.type.of) << std::hex << row.word;
    EXPECT_EQ(type.payload, row.type.payload) << std::hex << row.word;
  }
}

TEST(ArmOperation, FailsItsConditionAsTheFlagsSay) {
  constexpr std::uint32_t kN = 1U << 31, kZ = 1U << 30, kC = 1U << 29, kV = 1U << 28;
  // CSEL X0, X1, X2, of all conditions in turn; of each, flags for which it holds.
  const std::uint32_t holds[] = {kZ, 0, kC, 0, kN, 0, kV, 0, kC, kZ, kN | kV, kN, 0, kN | kZ};
  for (std::uint32_t condition = 0; condition < std::size(holds); ++condition) {
    const std::uint32_t word = 0x9a82'0020 | condition << 12;
    EXPECT_EQ(condition_fails(word, holds[condition]), false) << condition;
    EXPECT_EQ(condition_fails(word ^ 1U << 12, holds[condition]), true) << condition;
  }
  EXPECT_EQ(condition_fails(0x9a82'0020 | 14U << 12, 0), false);
  EXPECT_EQ(condition_fails(0x9a82'0020 | 15U << 12, 0), false);
  EXPECT_EQ(condition_fails(code::b_ne(4), kZ), std::nullopt);
  EXPECT_EQ(condition_fails(code::add(1, 2, 3), kZ), std::nullopt);
}

/// The oracle is the machine: where nothing is mapped, every access faults, at its first byte.
class ArmMemoryOperand : public testing::Test {
 protected:
  static constexpr std::uint64_t kUnmapped = std::uint64_t{0x30} << 32;

  /// Executes `word`. False: it does not access memory there.
  bool faults(std::uint32_t word) {
    machine.start({word});
    machine.map();
    machine.load(kVectors + 0x200, {code::hvc(0)});
    for (unsigned n = 0; n < 31; ++n) cpu.registers().set_x(n, kUnmapped + random() % 0x4000 * 64);
    cpu.core().sp_el[1] = kUnmapped;
    cpu.registers().set_sp(kUnmapped + 0x8000);
    operand = memory_operand(word, cpu.registers());
    cpu.run(2, kForEver);
    constexpr std::uint64_t kDataAbort = 0x25;
    return cpu.core().esr >> 26 == kDataAbort;
  }

  std::mt19937 random{8};
  TestMachine machine;
  Cpu& cpu = machine.cpu;
  std::optional<MemoryOperand> operand;
};

TEST_F(ArmMemoryOperand, IsWhereTheInstructionFaults) {
  // Random words among loads and stores; register offsets are large, so nothing is mapped.
  unsigned seen = 0;
  for (unsigned n = 0; n < 60'000; ++n) {
    const std::uint32_t word = (random() & ~0x0a00'0000U) | 0x0800'0000;
    if (!faults(word)) continue;
    const bool literal = (word >> 27 & 7) == 3 && (word >> 24 & 1) == 0;
    if (literal) continue;
    ++seen;
    ASSERT_TRUE(operand) << std::hex << word;
    EXPECT_EQ(operand->address, cpu.core().far) << std::hex << word;
    EXPECT_LE(operand->bytes, 64U) << std::hex << word;
  }
  EXPECT_GT(seen, 5'000U);
}

TEST_F(ArmMemoryOperand, HasTheSizeOfAllThatIsAccessed) {
  const struct {
    std::uint32_t word;
    unsigned bytes;
  } rows[] = {
      {0x3940'0020, 1},                              // LDRB W0, [X1]
      {0x7940'0020, 2},                              // LDRH
      {0xb980'0020, 4},                              // LDRSW X0, [X1]
      {code::ldr(0, 1), 8},      {0x3dc0'0020, 16},  // LDR Q0, [X1]
      {0x2940'0440, 8},                              // LDP W0, W1, [X2]
      {0x6940'0440, 8},                              // LDPSW X0, X1, [X2]
      {code::ldp(0, 1, 2), 16},  {0xad40'0440, 32},  // LDP Q0, Q1, [X2]
      {code::ldxp(0, 1, 2), 16}, {0x4c40'2040, 64},  // LD1 {V0.16B-V3.16B}, [X2]
      {0x0c40'7040, 8},                              // LD1 {V0.8B}, [X2]
      {0x4d40'8040, 4},                              // LD1 {V0.S}[2], [X2]
      {0x4d40'8440, 8},                              // LD1 {V0.D}[1], [X2]
      {0x4d60'e040, 4},                              // LD4R {V0.16B-V3.16B}, [X2]
  };
  for (const auto& row : rows) {
    ASSERT_TRUE(faults(row.word)) << std::hex << row.word;
    ASSERT_TRUE(operand);
    EXPECT_EQ(operand->bytes, row.bytes) << std::hex << row.word;
  }
  EXPECT_EQ(memory_operand(code::add(1, 2, 3), cpu.registers()), std::nullopt);
  EXPECT_EQ(memory_operand(0xf980'0020, cpu.registers()), std::nullopt);  // PRFM
}

TEST_F(ArmMemoryOperand, OfLiteralsIsRelativeToTheProgramCounter) {
  machine.start({code::kNop});
  EXPECT_EQ(memory_operand(0x5800'0040, cpu.registers()), (MemoryOperand{kCode + 8, 8}));
  EXPECT_EQ(memory_operand(0x18ff'ffe0, cpu.registers()), (MemoryOperand{kCode - 4, 4}));
  EXPECT_EQ(memory_operand(0x9800'0040, cpu.registers()), (MemoryOperand{kCode + 8, 4}));
  EXPECT_EQ(memory_operand(0x9c00'0040, cpu.registers()), (MemoryOperand{kCode + 8, 16}));
}

}  // namespace
}  // namespace vpmu::machine::arm64
