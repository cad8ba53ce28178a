// SPDX-License-Identifier: MIT
//
// Which accesses have to be aligned, in compiled code.
#include <iterator>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "machine/arm64/instruction_kinds.hpp"
#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

class ArmAlignment : public testing::Test {
 protected:
  enum : std::uint64_t { kDataAbort = 0x96000000, kWrite = 0x40, kAlignment = 0x21 };

  /// A loop over `words`, and handlers that end the run.
  void start(std::vector<std::uint32_t> words) {
    words.push_back(code::b(-static_cast<std::int32_t>(words.size())));
    machine.start(words);
    machine.map();
    machine.load(kVectors + 0x200, {code::hvc(0)});
    cpu.registers().set_x(20, kData + 1);
  }
  void expect_fault(std::uint64_t syndrome, std::uint64_t at) {
    EXPECT_EQ(cpu.run(1000, kForEver), Cpu::Exit::kWaiting);
    EXPECT_EQ(cpu.core().esr, syndrome);
    EXPECT_EQ(cpu.core().elr, at);
    EXPECT_EQ(cpu.core().far, kData + 1);
  }

  TestMachine machine;
  Cpu& cpu = machine.cpu;
};

TEST_F(ArmAlignment, OrdinaryAccessesNeedNone) {
  start({code::ldr(0, 20), code::add(0, 0, 1), code::str(0, 20), code::ldp(2, 3, 20)});
  machine.load(kData, {0x100, 0});
  cpu.run(1000, kForEver);

  EXPECT_EQ(machine.instructions(), 1000U);
  EXPECT_EQ(machine.x(0), 1U + 200);
  EXPECT_EQ(machine.x(2), 1U + 200);
  // Each of the four is run by itself once, until it is known.
  EXPECT_GT(cpu.instructions_in(Cpu::Mode::kFast), 900U);
}

TEST_F(ArmAlignment, ExclusiveAndOrderedAccessesFault) {
  for (const std::uint32_t load : {code::ldxr(0, 20), code::ldar(0, 20), code::ldxp(0, 1, 20)}) {
    start({code::kNop, load});
    expect_fault(kDataAbort | kAlignment, kCode + 4);
  }
  start({code::kNop, code::stlr(0, 20)});
  expect_fault(kDataAbort | kWrite | kAlignment, kCode + 4);
}

TEST_F(ArmAlignment, ExclusiveStoresFaultWithoutTheirLoads) {
  for (const auto mode : {Cpu::Mode::kFast, Cpu::Mode::kBlocks, Cpu::Mode::kSteps}) {
    cpu.allow(mode);
    for (const std::uint32_t store : {code::stxr(0, 1, 20), code::stxr(0, 1, 20) | 1U << 15,
                                      code::stxr(0, 1, 20) | 1U << 21 /* STXP */}) {
      start({code::kNop, store});
      expect_fault(kDataAbort | kWrite | kAlignment, kCode + 4);
    }
  }
}

TEST_F(ArmAlignment, ExclusiveStoresBehindTheirLoadsAreCompiled) {
  // Compare and exchange: a branch is in between.
  start({code::ldxr(0, 19), code::subs(2, 0, 1), code::b_ne(2), code::stxr(3, 1, 19)});
  machine.load(kData, {1, 0});
  cpu.registers().set_x(1, 1);
  cpu.run(10'000, kForEver);
  EXPECT_EQ(machine.x(3), 0U);
  EXPECT_GT(cpu.instructions_in(Cpu::Mode::kFast), 9900U);
}

TEST_F(ArmAlignment, IsNotMissedAmongAccessesThatNeedNone) {
  // The last becomes misaligned when everything has been compiled, and others are known.
  start({code::ldr(0, 20), code::ldar(1, 19), code::str(0, 20), code::stlr(1, 21)});
  cpu.registers().set_x(21, kData + 64);
  cpu.run(400, kForEver);
  ASSERT_EQ(machine.instructions(), 400U);

  cpu.registers().set_x(21, kData + 1);
  expect_fault(kDataAbort | kWrite | kAlignment, kCode + 12);
  EXPECT_EQ(machine.instructions(), 404U);
}

TEST_F(ArmAlignment, AccessesByAMisalignedStackPointerFault) {
  constexpr std::uint64_t kSpAlignment = 0x9a000000;
  constexpr unsigned kSp = 31;
  // Each misaligns SP; what is behind it does not care, until SP is a base register.
  for (const std::uint32_t word :
       {code::add(kSp, kSp, 8), code::add(kSp, 19, 8), code::kLoadAndAdd8ToSp}) {
    start({code::kNop, word, code::add(0, 0, 1), code::str(0, 19), code::ldr(1, kSp)});
    cpu.core().sctlr |= 1U << 3;
    cpu.registers().set_sp(kData);
    cpu.registers().set_x(0, 0);
    cpu.state_changed();

    EXPECT_EQ(cpu.run(1000, kForEver), Cpu::Exit::kWaiting);
    EXPECT_EQ(cpu.core().esr, kSpAlignment);
    EXPECT_EQ(cpu.core().elr, kCode + 16);
    EXPECT_EQ(machine.x(0), 1U);
  }
}

TEST_F(ArmAlignment, OfTheStackPointerIsCheckedWhereSctlrSaysSo) {
  constexpr unsigned kSp = 31;
  start({code::add(kSp, kSp, 8), code::ldr(1, kSp), code::add(0, 0, 1)});
  cpu.registers().set_sp(kData);

  cpu.run(400, kForEver);

  EXPECT_EQ(machine.x(0), 100U);
  EXPECT_EQ(cpu.registers().sp(), kData + 800);
}

TEST_F(ArmAlignment, StackFramesRunAtFullSpeed) {
  constexpr unsigned kSp = 31;
  start(
      {code::add(kSp, kSp, 48), code::ldr(1, kSp), code::ldp(2, 3, kSp), code::add(kSp, kSp, 16)});
  cpu.core().sctlr |= 1U << 3;
  cpu.registers().set_sp(kData);
  cpu.state_changed();

  cpu.run(10'000, kForEver);

  EXPECT_GT(cpu.instructions_in(Cpu::Mode::kFast), 9'900U);
}

TEST_F(ArmAlignment, AnAlignedStackPointerIsNoLongerAFault) {
  constexpr unsigned kSp = 31;
  start({code::add(kSp, kSp, 8), code::add(kSp, kSp, 8), code::ldr(1, kSp), code::add(0, 0, 1)});
  cpu.core().sctlr |= 1U << 3;
  cpu.registers().set_sp(kData);
  cpu.state_changed();

  cpu.run(5 * 100, kForEver);

  EXPECT_EQ(machine.x(0), 100U);
}

TEST_F(ArmAlignment, OnlyKnownInstructionsMisalignTheStackPointer) {
  std::mt19937 random{1};
  unsigned misaligned = 0;
  for (unsigned n = 0; n < 3000; ++n) {
    // Data processing, loads and stores, with SP where it may be a base or a destination.
    constexpr std::uint32_t kGroups[] = {4, 5, 6, 7, 8, 9, 13};
    const std::uint32_t group = kGroups[n % std::size(kGroups)] << 25;
    const std::uint32_t registers = n % 2 != 0 ? 31U << 5 : n % 3 != 0 ? 31U : 31U << 5 | 31U;
    const auto word = static_cast<std::uint32_t>((random() & ~0x1e00'0000U) | group | registers);
    machine.start({word});
    for (unsigned x = 0; x < 31; ++x) cpu.registers().set_x(x, kData + 0x100 + x * 0x42);
    cpu.registers().set_sp(kData);
    cpu.run(1, kForEver);

    const bool is = cpu.registers().sp() % 16 != 0;
    misaligned += is ? 1 : 0;
    EXPECT_TRUE(!is || may_misalign_stack(word)) << std::hex << word;
  }
  EXPECT_GT(misaligned, 50U);
}

TEST_F(ArmAlignment, OfLoadsIsNotMissedEither) {
  start({code::ldr(0, 20), code::ldxr(2, 19), code::ldar(1, 21)});
  cpu.registers().set_x(21, kData + 64);
  cpu.run(400, kForEver);
  ASSERT_EQ(machine.instructions(), 400U);

  cpu.registers().set_x(21, kData + 1);
  expect_fault(kDataAbort | kAlignment, kCode + 8);
}

TEST_F(ArmAlignment, IsNotMissedWhereCompiledCodeLooksTheSame) {
  // Blocks of their own, so that both have the address and the value in the same host registers.
  const std::uint32_t ordinary[] = {code::ldr(1, 20), code::str(1, 20)};
  const std::uint32_t ordered[] = {code::ldar(1, 21), code::stlr(1, 21)};
  for (unsigned n = 0; n < 2; ++n) {
    start({ordinary[n], code::b(1), ordered[n]});
    cpu.registers().set_x(21, kData + 64);
    const std::uint64_t before = machine.instructions();
    cpu.run(400, kForEver);
    ASSERT_EQ(machine.instructions(), before + 400);

    cpu.registers().set_x(21, kData + 1);
    expect_fault(kDataAbort | kAlignment | n * kWrite, kCode + 8);
  }
}

}  // namespace
}  // namespace vpmu::machine::arm64
