// SPDX-License-Identifier: MIT
#include "machine/arm64/instruction_kinds.hpp"

#include <random>

#include <gtest/gtest.h>

#include "machine/arm64/instruction_probe.hpp"
#include "unit/arm64/code.hpp"

namespace vpmu::machine::arm64 {
namespace {

using Answer = InstructionProbe::Answer;

Answer expected(Handling handling) {
  switch (handling) {
    case Handling::kPlain: return Answer::kGoesOn;
    case Handling::kBranch: return Answer::kEnds;
    default: return Answer::kRefuses;
  }
}

/// What is said about words without asking is what the code generator does.
TEST(InstructionKinds, AgreeWithTheCodeGenerator) {
  std::mt19937 random{1};
  InstructionProbe probe;
  unsigned compared = 0;
  // Of all groups of encodings; data processing and branches with everything else random.
  for (unsigned n = 0; n < 6000; ++n) {
    const auto group = static_cast<std::uint32_t>(n % 16);
    const auto word = static_cast<std::uint32_t>((random() & ~0x1e00'0000U) | group << 25);
    const Handling handling = handling_of(word);
    if (handling != Handling::kPlain && handling != Handling::kBranch) continue;
    ++compared;

    EXPECT_EQ(probe.ask(word), expected(handling)) << std::hex << word;
  }
  EXPECT_GT(compared, 1000U);
}

TEST(InstructionKinds, ConstantsForTheZeroRegisterDoNothing) {
  InstructionProbe probe;
  for (const std::uint32_t word : {code::movz(31, 5), 0x1000'001fU, 0x9000'001fU, 0x9280'001fU}) {
    EXPECT_EQ(handling_of(word), Handling::kNothing);
    EXPECT_EQ(probe.ask(word), Answer::kDoesNothing);
  }
  EXPECT_EQ(probe.ask(kIdleWord), Answer::kGoesOn);
}

TEST(InstructionKinds, BranchesAreOfTheirKind) {
  const struct {
    std::uint32_t word;
    BranchKind kind;
  } kRows[] = {{code::b(4), BranchKind::kDirect},
               {code::bl(-4), BranchKind::kCall},
               {code::b_ne(4), BranchKind::kConditional},
               {code::cbnz(3, 4), BranchKind::kConditional},
               {code::tbz(3, 4, 4), BranchKind::kConditional},
               {code::br(30), BranchKind::kIndirect},
               {0xd63f'0020, BranchKind::kIndirectCall},
               {code::kRet, BranchKind::kReturn},
               {code::svc(0), BranchKind::kNone},
               {code::kEret, BranchKind::kNone}};
  for (const auto& row : kRows) EXPECT_EQ(branch_kind(row.word), row.kind) << std::hex << row.word;
}

TEST(InstructionKinds, LoadsAndStoresAreCountedByInstruction) {
  constexpr MemoryKind kLoad{.load = true}, kStore{.store = true}, kNeither{};
  const struct {
    std::uint32_t word;
    MemoryKind kind;
  } kRows[] = {
      {code::ldr(0, 1), kLoad},       {code::str(0, 1), kStore},     {code::ldp(0, 1, 2), kLoad},
      {code::ldxr(0, 1), kLoad},      {code::stxr(0, 1, 2), kStore}, {0x5800'0000, kLoad},
      {0xf980'0000, kNeither},  // PRFM (immediate)
      {0xd800'0000, kNeither},  // PRFM (literal)
      {0xf880'0000, kNeither},  // PRFUM
      {0xb980'0000, kLoad},     // LDRSW
      {0x3dc0'0000, kLoad},     // LDR Q0
      {0x3d80'0000, kStore},    // STR Q0
      {0x4c00'7000, kStore},    // ST1 {V0.16B}
      {0x4c40'7000, kLoad},     // LD1 {V0.16B}
      {0xc8df'fc00, kLoad},     // LDAR
      {0xc89f'fc00, kStore},    // STLR
      {code::add(0, 1, 2), kNeither}, {code::kNop, kNeither},
  };
  for (const auto& row : kRows) EXPECT_EQ(memory_kind(row.word), row.kind) << std::hex << row.word;
}

}  // namespace
}  // namespace vpmu::machine::arm64
