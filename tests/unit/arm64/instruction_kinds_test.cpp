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

TEST(InstructionKinds, AccessesOfTheStack) {
  // LDR X1, [SP]; STP X29, X30, [SP, #-16]!; LDXR X1, [SP]; LD1 {V0.16B}, [SP]
  for (const std::uint32_t word : {0xf940'03e1U, 0xa9bf'7bfdU, 0xc85f'7fe1U, 0x4c40'73e0U}) {
    EXPECT_TRUE(accesses_stack(word)) << std::hex << word;
  }
  // LDR X1, [X2]; a literal with 31 where a base would be; PRFM and PRFUM [SP]; ADD SP, SP, #16
  for (const std::uint32_t word :
       {0xf940'0041U, 0x5800'03e1U, 0xf980'03e0U, 0xf880'03e0U, 0x9100'43ffU}) {
    EXPECT_FALSE(accesses_stack(word)) << std::hex << word;
  }
}

TEST(InstructionKinds, WhatMayMisalignTheStackPointer) {
  for (const std::uint32_t word : {
           0x9100'23ffU,  // ADD SP, SP, #8
           0xd100'13ffU,  // SUB SP, SP, #4
           0x9100'03bfU,  // MOV SP, X29
           0x8b21'63ffU,  // ADD SP, SP, X1
           0xcb21'63ffU,  // SUB SP, SP, X1
           0x927c'ec3fU,  // AND SP, X1, #~15
           0xf840'87e1U,  // LDR X1, [SP], #8
           0xf81f'8fe1U,  // STR X1, [SP, #-8]!
           0x28c1'0be1U,  // LDP W1, W2, [SP], #8
           0x4cdf'73e0U,  // LD1 {V0.16B}, [SP], #16
       }) {
    EXPECT_TRUE(may_misalign_stack(word)) << std::hex << word;
  }
  for (const std::uint32_t word : {
           0x9100'43ffU,  // ADD SP, SP, #16
           0xd140'07ffU,  // SUB SP, SP, #1, LSL #12
           0xf100'23ffU,  // CMP SP, #8
           0xeb21'63ffU,  // CMP SP, X1
           0xf27c'ec3fU,  // TST X1, #~15
           0x9100'23e1U,  // ADD X1, SP, #8
           0xf841'07e1U,  // LDR X1, [SP], #16
           0xa9bf'7bfdU,  // STP X29, X30, [SP, #-16]!
           0xa940'fbfdU,  // LDP X29, X30, [SP, #8]
           0xf840'8421U,  // LDR X1, [X1], #8
           0xf940'07e1U,  // LDR X1, [SP, #8]
       }) {
    EXPECT_FALSE(may_misalign_stack(word)) << std::hex << word;
  }
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
