// SPDX-License-Identifier: MIT
//
// Loads of which nobody wants the value: they access memory all the same.
#include <gtest/gtest.h>

#include "machine/arm64/emulate.hpp"
#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

constexpr std::uint64_t kUnmapped = std::uint64_t{0x30} << 32;

class ArmDiscardedLoad : public testing::Test {
 protected:
  void start(std::uint32_t word) {
    machine.start({code::kNop, word, code::hvc(0)});
    machine.map();
    machine.load(kVectors + 0x200, {code::hvc(0)});
    machine.load(kData, {0x8000'0001, 0x8000'0002, 0x8000'0003, 0x8000'0004});
    cpu.registers().set_x(20, kDevice);
    cpu.registers().set_x(21, kUnmapped);
  }

  TestMachine machine;
  Cpu& cpu = machine.cpu;
};

TEST_F(ArmDiscardedLoad, IsSeenByDevices) {
  // LDR XZR, [X20]; LDRB WZR, [X20]; LDAR WZR, [X20]
  for (const std::uint32_t word : {0xf940'029fU, 0x3940'029fU, 0x88df'fe9fU}) {
    machine.touched.clear();
    start(word);
    cpu.run(10, kForEver);
    EXPECT_EQ(machine.touched.size(), 1U) << std::hex << word;
  }
}

TEST_F(ArmDiscardedLoad, FaultsWhereNothingIsMapped) {
  // LDR XZR, [X21]; LDP XZR, X1, [X21]; LDP W1, WZR, [X21]; LDUR WZR, [X21]
  for (const std::uint32_t word : {0xf940'02bfU, 0xa940'06bfU, 0x2940'7ea1U, 0xb840'02bfU}) {
    start(word);
    cpu.run(10, kForEver);
    EXPECT_EQ(cpu.core().far, kUnmapped) << std::hex << word;
    EXPECT_EQ(cpu.core().elr, kCode + 4) << std::hex << word;
  }
}

TEST_F(ArmDiscardedLoad, OfAPairLoadsTheOther) {
  start(0x2940'7e61);  // LDP W1, WZR, [X19]
  cpu.run(2, kForEver);
  EXPECT_EQ(machine.x(1), 0x8000'0001U);

  start(0x6940'067f);  // LDPSW XZR, X1, [X19]
  cpu.run(2, kForEver);
  EXPECT_EQ(machine.x(1), 0xffff'ffff'8000'0002U);

  start(0xa940'067f);  // LDP XZR, X1, [X19]
  cpu.run(2, kForEver);
  EXPECT_EQ(machine.x(1), 0x8000'0004'8000'0003U);
}

TEST_F(ArmDiscardedLoad, WritesItsBaseBack) {
  const struct {
    std::uint32_t word;
    std::uint64_t base;
  } rows[] = {
      {0xf840'867f, kData + 8},   // LDR XZR, [X19], #8
      {0xf840'8e7f, kData + 8},   // LDR XZR, [X19, #8]!
      {0xa8c1'067f, kData + 16},  // LDP XZR, X1, [X19], #16
      {0xa9c1'067f, kData + 16},  // LDP XZR, X1, [X19, #16]!
      {0xf940'067f, kData},       // LDR XZR, [X19, #8]
  };
  for (const auto& row : rows) {
    start(row.word);
    cpu.run(2, kForEver);
    EXPECT_EQ(machine.x(19), row.base) << std::hex << row.word;
  }
}

TEST_F(ArmDiscardedLoad, IsCountedAndHasToBeAligned) {
  machine.totals.demand(silicon::RawEvent::kLoads);
  start(0xf940'067f);
  cpu.run(2, kForEver);
  EXPECT_EQ(machine.total(silicon::RawEvent::kLoads), 1U);

  start(0x88df'fe7f);  // LDAR WZR, [X19]
  cpu.registers().set_x(19, kData + 1);
  cpu.run(10, kForEver);
  EXPECT_EQ(cpu.core().esr & 0x3f, 0x21U);
}

TEST_F(ArmDiscardedLoad, OfAPairTheFirstFaultIsTheOneReported) {
  start(0x2940'0aa1);  // LDP W1, W2, [X21]
  cpu.run(10, kForEver);
  EXPECT_EQ(cpu.core().far, kUnmapped);
}

TEST(DiscardsLoad, IsSaidOfLoadsToRegister31Only) {
  EXPECT_TRUE(discards_load(0xf940'029f));
  EXPECT_FALSE(discards_load(0xf940'0280));  // to X0
  EXPECT_FALSE(discards_load(0xf900'029f));  // STR XZR
  EXPECT_FALSE(discards_load(0xfd40'029f));  // LDR D31
  EXPECT_FALSE(discards_load(0xc85f'7e9f));  // LDXR XZR: marks
  EXPECT_FALSE(discards_load(0xf980'029f));  // PRFM
  EXPECT_TRUE(discards_load(0x5800'005f));   // LDR XZR, literal
}

TEST(DiscardsLoad, IsNotSaidOfWhatIsNoPlainLoad) {
  EXPECT_FALSE(discards_load(0xc8e1'7e9f));  // CASA X1, XZR, [X20]
  EXPECT_FALSE(discards_load(0xc87f'7c3f));  // LDXP XZR, XZR, [X1]
  EXPECT_FALSE(discards_load(0xf861'029f));  // STADDL X1, [X20]
  EXPECT_FALSE(discards_load(0xf820'069f));  // LDRAA XZR, [X20]
  EXPECT_FALSE(discards_load(0xe940'067f));  // no LDP has these sizes
  EXPECT_FALSE(discards_load(0xf8c0'029f));  // no LDUR has
  EXPECT_TRUE(discards_load(0xf861'6a9f));   // LDR XZR, [X20, X1]
  EXPECT_TRUE(discards_load(0xf8bf'c29f));   // LDAPR XZR, [X20]
}

}  // namespace
}  // namespace vpmu::machine::arm64
