// SPDX-License-Identifier: MIT
//
// Which accesses have to be aligned, in compiled code.
#include <vector>

#include <gtest/gtest.h>

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

TEST_F(ArmAlignment, OfLoadsIsNotMissedEither) {
  start({code::ldr(0, 20), code::ldxr(2, 19), code::ldar(1, 21)});
  cpu.registers().set_x(21, kData + 64);
  cpu.run(400, kForEver);
  ASSERT_EQ(machine.instructions(), 400U);

  cpu.registers().set_x(21, kData + 1);
  expect_fault(kDataAbort | kAlignment, kCode + 8);
}

}  // namespace
}  // namespace vpmu::machine::arm64
