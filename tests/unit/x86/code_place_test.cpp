// SPDX-License-Identifier: MIT
//
// Where a CPU is, as who interrupts it is told.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "unit/x86/cpu_fixture.hpp"

namespace vpmu::machine::x86::test {
namespace {

TEST(CodePlace, BetweenInstructionsItIsTheNextOne) {
  for (const unsigned cpl : {0U, 3U}) {
    TestCpu t;
    t.start_long_mode(cpl);
    t.code({0x90, 0x66, 0x90, 0x90});
    EXPECT_EQ(t.cpu.place().linear, kCode);
    EXPECT_EQ(t.cpu.place().user, cpl == 3);
    (void)t.run(2);
    EXPECT_EQ(t.cpu.place().linear, kCode + 3);
    EXPECT_EQ(t.cpu.place().user, cpl == 3);
  }
}

// What asks the world for something runs in a block of its own, and the block that runs is the
// place.
TEST(CodePlace, InTheMiddleOfAnInstructionThatAsksForSomethingItIsThatOne) {
  for (const unsigned cpl : {0U, 3U}) {
    TestCpu t;
    t.start_long_mode(cpl);
    t.core().rflags |= 3 << 12;              // ports for everybody
    t.code({0x90, 0x90, 0xe6, 0x80, 0x90});  // NOP; NOP; OUT 0x80, AL; NOP
    std::vector<CodePlace> places;
    t.environment.on_port_write = [&] { places.push_back(t.cpu.place()); };
    (void)t.run(4);
    ASSERT_EQ(places.size(), 1U);
    EXPECT_EQ(places[0].linear, kCode + 2);
    EXPECT_EQ(places[0].user, cpl == 3);
    EXPECT_EQ(t.cpu.place().linear, kCode + 5);
  }
}

TEST(CodePlace, AddressesAreLinear) {
  TestCpu t;
  t.start_real_mode();
  t.core().segment[kCs].base = 0x10000;
  t.core().rip = 0x20;
  t.cpu.state_changed();
  const std::vector<std::uint8_t> code{0x90, 0xf4};
  t.put_bytes(0x10020, code);
  EXPECT_EQ(t.cpu.place().linear, 0x10020U);
  (void)t.run(1);
  EXPECT_EQ(t.cpu.place().linear, 0x10021U);
  EXPECT_FALSE(t.cpu.place().user);
}

}  // namespace
}  // namespace vpmu::machine::x86::test
