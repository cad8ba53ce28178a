// SPDX-License-Identifier: MIT
//
// Debug exceptions of code that runs: software steps, breakpoints and watchpoints. At EL1, with
// MDSCR_EL1.KDE; which ones match is tested in ../arm64_system.
#include <gtest/gtest.h>

#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::RawEvent;

constexpr std::uint64_t kIl = 1 << 25, kDebugStatus = 0x22;
constexpr std::uint64_t kFromEl1h = 0x200;
constexpr std::uint64_t kEnable = 1, kForEl1 = 1 << 1;

class ArmDebug : public testing::Test {
 protected:
  /// Handlers loop.
  void start(std::initializer_list<std::uint32_t> words, std::uint64_t mdscr) {
    machine.load(kVectors + kFromEl1h, {code::kBranchToItself});
    machine.start(words);
    Core& core = cpu.core();
    core.os_lock = false;
    core.daif = 0;
    core.mdscr = mdscr | Mdscr::kKde.kMask;
    cpu.state_changed();
  }
  /// Taken once, at that instruction, with nothing of it done.
  void expect_exception(std::uint64_t which, std::uint64_t iss, std::uint64_t elr) {
    EXPECT_EQ(cpu.core().esr, which << 26 | kIl | iss);
    EXPECT_EQ(cpu.core().elr, elr);
    EXPECT_EQ(machine.total(RawEvent::kExceptions), 1U);
  }

  TestMachine machine;
  Cpu& cpu = machine.cpu;
};

TEST_F(ArmDebug, ABreakpointStopsInFrontOfItsInstruction) {
  start({code::movz(1, 11), code::movz(2, 22), code::movz(3, 33)}, Mdscr::kMde.kMask);
  cpu.core().breakpoints[1] = {kCode + 8, kEnable | kForEl1};

  cpu.run(10, kForEver);

  expect_exception(0x31, kDebugStatus, kCode + 8);
  EXPECT_EQ(machine.x(2), 22U);
  EXPECT_EQ(machine.x(3), 0U);
  EXPECT_EQ(machine.instructions(), 10U) << "2, and 8 of the handler";
}

TEST_F(ArmDebug, ABreakpointThatTheCodeSetsIsSeenBehindIt) {
  constexpr std::uint32_t kMsrDbgbcr0 = 0xd510'00a1;  // MSR DBGBCR0_EL1, X1
  start({code::movz(1, kEnable | kForEl1), kMsrDbgbcr0, code::movz(2, 22), code::movz(3, 33)},
        Mdscr::kMde.kMask);
  cpu.core().breakpoints[0].value = kCode + 12;

  cpu.run(10, kForEver);

  expect_exception(0x31, kDebugStatus, kCode + 12);
  EXPECT_EQ(machine.x(2), 22U);
}

TEST_F(ArmDebug, AWatchpointStopsInFrontOfTheAccess) {
  constexpr std::uint64_t kStores = 2 << 3, kWord = 0xff << 5, kWrite = 1 << 6;
  start({code::ldr(1, 19), code::movz(2, 22), code::str(2, 19, 1), code::str(2, 19)},
        Mdscr::kMde.kMask);
  cpu.core().watchpoints[3] = {kData, kEnable | kForEl1 | kStores | kWord};

  cpu.run(10, kForEver);

  expect_exception(0x35, kWrite | kDebugStatus, kCode + 12);
  EXPECT_EQ(cpu.core().far, kData);
  std::uint64_t words[2] = {};
  ASSERT_TRUE(cpu.peek(kData, words, sizeof words));
  EXPECT_EQ(words[0], 0U);
  EXPECT_EQ(words[1], 22U) << "the word behind is not watched";
}

TEST_F(ArmDebug, AWatchpointForEl0StopsEl1sAccessesWithEl0sRights) {
  constexpr std::uint64_t kForEl0 = 2 << 1, kLoads = 1 << 3, kWord = 0xff << 5;
  constexpr std::uint32_t kLdtr = 0xf840'0a62;  // LDTR X2, [X19]
  start({code::ldr(1, 19), kLdtr}, Mdscr::kMde.kMask);
  cpu.core().watchpoints[0] = {kData, kEnable | kForEl0 | kLoads | kWord};

  cpu.run(10, kForEver);

  expect_exception(0x35, kDebugStatus, kCode + 4);
  EXPECT_EQ(cpu.core().far, kData);
}

TEST_F(ArmDebug, AStepIsOneInstructionAndSaysSo) {
  start({code::movz(1, 11), code::movz(2, 22)}, Mdscr::kSs.kMask);
  cpu.core().ss = true;

  cpu.run(5, kForEver);

  constexpr std::uint64_t kValid = 1 << 24;
  expect_exception(0x33, kValid | kDebugStatus, kCode + 4);
  EXPECT_EQ(machine.x(1), 11U);
  EXPECT_EQ(machine.x(2), 0U);
}

TEST_F(ArmDebug, AStepOfALoadExclusiveSaysThatToo) {
  start({code::ldxr(1, 19), code::movz(2, 22)}, Mdscr::kSs.kMask);
  cpu.core().ss = true;

  cpu.run(5, kForEver);

  constexpr std::uint64_t kValid = 1 << 24, kExclusive = 1 << 6;
  expect_exception(0x33, kValid | kExclusive | kDebugStatus, kCode + 4);
}

TEST_F(ArmDebug, AFaultInAStepIsThatFault) {
  start({code::kUdf}, Mdscr::kSs.kMask);
  cpu.core().ss = true;

  cpu.run(5, kForEver);

  expect_exception(0x00, 0, kCode);
  EXPECT_NE(cpu.core().spsr & Spsr::kSs.kMask, 0U) << "it is still to be stepped";
}

TEST_F(ArmDebug, WithoutSsTheStepComesFirst) {
  start({code::movz(1, 11)}, Mdscr::kSs.kMask);

  cpu.run(5, kForEver);

  expect_exception(0x33, kDebugStatus, kCode);
  EXPECT_EQ(machine.x(1), 0U);
}

TEST_F(ArmDebug, WhatIsSteppedIsStoppedAtAnywhere) {
  start({code::movz(1, 11), code::movz(2, 22)}, Mdscr::kSs.kMask);
  cpu.core().ss = true;

  EXPECT_EQ(cpu.run(1, kForEver), Cpu::Exit::kBudget);
  EXPECT_EQ(cpu.registers().pc(), kCode + 4);
  EXPECT_EQ(machine.total(RawEvent::kExceptions), 0U);
  EXPECT_EQ(cpu.run(1, kForEver), Cpu::Exit::kBudget);
  EXPECT_EQ(machine.total(RawEvent::kExceptions), 1U);
}

}  // namespace
}  // namespace vpmu::machine::arm64
