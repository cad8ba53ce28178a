// SPDX-License-Identifier: MIT
//
// Every system register of the CPU's own: which bits it has, and who may read and write it (D13.2).
#include "machine/arm64/system_registers.hpp"

#include <gtest/gtest.h>

#include "unit/arm64_system/system_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// What a register reads after all zeros and all ones have been written.
struct Row {
  const char* name;
  SystemRegister reg;
  std::uint64_t zeros, ones;
  bool el0_reads = false, el0_writes = false;
};
constexpr Row kRows[] = {
    {"SCTLR_EL1", system_register(3, 0, 1, 0, 0), 0x3050'0980, 0x34dd'db9f},
    {"ACTLR_EL1", system_register(3, 0, 1, 0, 1), 0, 0},
    {"CPACR_EL1", system_register(3, 0, 1, 0, 2), 0, 3 << 20},
    {"TTBR0_EL1", system_register(3, 0, 2, 0, 0), 0, kAll},
    {"TTBR1_EL1", system_register(3, 0, 2, 0, 1), 0, kAll},
    {"TCR_EL1", system_register(3, 0, 2, 0, 2), 0, 0x0180'07f7'ffff'ffbf},
    {"SPSR_EL1", system_register(3, 0, 4, 0, 0), 0, 0xf070'03df},
    {"ELR_EL1", system_register(3, 0, 4, 0, 1), 0, kAll},
    {"SP_EL0", system_register(3, 0, 4, 1, 0), 0, kAll},
    {"PAN", system_register(3, 0, 4, 2, 3), 0, 1 << 22},
    {"AFSR0_EL1", system_register(3, 0, 5, 1, 0), 0, 0},
    {"AFSR1_EL1", system_register(3, 0, 5, 1, 1), 0, 0},
    {"ESR_EL1", system_register(3, 0, 5, 2, 0), 0, 0xffff'ffff},
    {"FAR_EL1", system_register(3, 0, 6, 0, 0), 0, kAll},
    {"PAR_EL1", system_register(3, 0, 7, 4, 0), 0, kAll},
    {"MAIR_EL1", system_register(3, 0, 10, 2, 0), 0, kAll},
    {"AMAIR_EL1", system_register(3, 0, 10, 3, 0), 0, 0},
    {"VBAR_EL1", system_register(3, 0, 12, 0, 0), 0, ~std::uint64_t{0x7ff}},
    {"CONTEXTIDR_EL1", system_register(3, 0, 13, 0, 1), 0, 0xffff'ffff},
    {"TPIDR_EL1", system_register(3, 0, 13, 0, 4), 0, kAll},
    {"CSSELR_EL1", system_register(3, 2, 0, 0, 0), 0, 0xf},
    {"NZCV", system_register(3, 3, 4, 2, 0), 0, 0xf000'0000, true, true},
    {"DAIF", system_register(3, 3, 4, 2, 1), 0, 0xf << 6},
    {"TPIDR_EL0", system_register(3, 3, 13, 0, 2), 0, kAll, true, true},
    {"TPIDRRO_EL0", system_register(3, 3, 13, 0, 3), 0, kAll, true, false},
};

/// Registers that cannot be written.
struct ReadOnlyRow {
  const char* name;
  SystemRegister reg;
  std::uint64_t value;
};
constexpr ReadOnlyRow kReadOnly[] = {
    {"MIDR_EL1", system_register(3, 0, 0, 0, 0), Identity{}.midr},
    {"ID_AA64PFR0_EL1", system_register(3, 0, 0, 4, 0), 0x1100'0000'0100'0011},
    {"CurrentEL", system_register(3, 0, 4, 2, 2), 1 << 2},
    {"ISR_EL1", system_register(3, 0, 12, 1, 0), 0},
    {"CCSIDR_EL1", system_register(3, 1, 0, 0, 0), 255 << 13 | 3 << 3 | 2},
    {"CLIDR_EL1", system_register(3, 1, 0, 0, 1), 0x0200'0023},
    {"AIDR_EL1", system_register(3, 1, 0, 0, 7), 0},
    {"CTR_EL0", system_register(3, 3, 0, 0, 1), 0x9444'c004},
    {"DCZID_EL0", system_register(3, 3, 0, 0, 7), 4},
};

/// What is not there: EL2's and EL3's, features that are not offered, the implementation's own.
constexpr SystemRegister kAbsent[] = {
    system_register(3, 0, 0, 0, 1),   // reserved
    system_register(3, 0, 1, 0, 5),   // RGSR_EL1
    system_register(3, 0, 1, 2, 0),   // ZCR_EL1
    system_register(3, 0, 2, 1, 0),   // APIAKeyLo_EL1
    system_register(3, 0, 4, 2, 4),   // UAO
    system_register(3, 0, 5, 3, 0),   // ERRIDR_EL1
    system_register(3, 0, 10, 4, 0),  // LORSA_EL1
    system_register(3, 0, 12, 0, 1),  // RVBAR_EL1
    system_register(3, 0, 13, 0, 7),  // SCXTNUM_EL1
    system_register(3, 0, 11, 0, 0),  // the implementation's own
    system_register(3, 0, 15, 1, 2),  //
    system_register(3, 3, 15, 0, 0),  //
    system_register(3, 3, 2, 4, 0),   // RNDR
    system_register(3, 3, 4, 2, 5),   // DIT
    system_register(3, 3, 4, 2, 6),   // SSBS
    system_register(3, 3, 13, 0, 5),  // TPIDR2_EL0
    system_register(3, 4, 0, 0, 0),   // VPIDR_EL2
    system_register(3, 4, 1, 1, 0),   // HCR_EL2
    system_register(3, 5, 1, 0, 0),   // SCTLR_EL12
    system_register(3, 6, 1, 1, 0),   // SCR_EL3
    system_register(2, 0, 0, 7, 2),   //
};

struct SystemRegistersTest : testing::Test {
  Access read(SystemRegister reg) { return read_system_register(s.parts, reg); }
  Access write(SystemRegister reg, std::uint64_t value) {
    return write_system_register(s.parts, reg, value);
  }
  System s;
};

TEST_F(SystemRegistersTest, EachHasTheBitsOfTheManual) {
  for (const Row& row : kRows) {
    EXPECT_TRUE(write(row.reg, 0).is_done()) << row.name;
    EXPECT_EQ(read(row.reg), Access::done(row.zeros)) << row.name;
    EXPECT_TRUE(write(row.reg, kAll).is_done()) << row.name;
    EXPECT_EQ(read(row.reg), Access::done(row.ones)) << row.name;
  }
}

TEST_F(SystemRegistersTest, El0HasOnlyItsOwn) {
  s.at_el0();
  s.core.sctlr |= Sctlr::kUct.kMask;
  for (const Row& row : kRows) {
    if (op1(row.reg) == 3 && crn(row.reg) == 4 && op2(row.reg) == 1) continue;  // DAIF: see below
    EXPECT_EQ(read(row.reg).is_done(), row.el0_reads) << row.name;
    EXPECT_EQ(write(row.reg, 0).is_done(), row.el0_writes) << row.name;
    if (!row.el0_reads) {
      EXPECT_TRUE(read(row.reg).is_fault()) << row.name;
    }
    if (!row.el0_writes) {
      EXPECT_TRUE(write(row.reg, 0).is_fault()) << row.name;
    }
  }
  for (const ReadOnlyRow& row : kReadOnly) {
    EXPECT_EQ(read(row.reg).is_done(), op1(row.reg) == 3) << row.name;
    EXPECT_TRUE(write(row.reg, 0).is_fault()) << row.name;
  }
}

TEST_F(SystemRegistersTest, SomeCannotBeWritten) {
  for (const ReadOnlyRow& row : kReadOnly) {
    EXPECT_EQ(read(row.reg), Access::done(row.value)) << row.name;
    EXPECT_TRUE(write(row.reg, kAll).is_fault()) << row.name;
    EXPECT_EQ(read(row.reg), Access::done(row.value)) << row.name;
  }
}

TEST_F(SystemRegistersTest, WhatIsNotThereIsUndefined) {
  for (const SystemRegister reg : kAbsent) {
    EXPECT_TRUE(read(reg).is_fault()) << std::hex << silicon::arm64::raw(reg);
    EXPECT_TRUE(write(reg, 0).is_fault()) << std::hex << silicon::arm64::raw(reg);
  }
}

TEST_F(SystemRegistersTest, OthersAreTheEnvironments) {
  constexpr SystemRegister kPmcr = system_register(3, 3, 9, 12, 0);
  constexpr SystemRegister kPmintenset = system_register(3, 0, 9, 14, 1);
  EXPECT_TRUE(read(kPmcr).is_fault()) << "nobody has it";
  EXPECT_TRUE(write(kPmcr, 0).is_fault());

  s.environment.registers = {{kPmcr, Access::done(42)}, {kPmintenset, Access::done(43)}};
  EXPECT_EQ(read(kPmcr), Access::done(42));
  EXPECT_TRUE(write(kPmcr, 7).is_done());
  EXPECT_EQ(s.environment.written, 7U);
  EXPECT_EQ(s.environment.asked_at_el0, false);

  s.at_el0();
  EXPECT_EQ(read(kPmcr), Access::done(42));
  EXPECT_EQ(s.environment.asked_at_el0, true);
  EXPECT_TRUE(read(kPmintenset).is_fault()) << "EL1's";
  s.environment.registers = {{kPmcr, Access::trap()}};
  EXPECT_TRUE(read(kPmcr).is_trap());
  EXPECT_TRUE(write(kPmcr, 0).is_trap());
}

TEST_F(SystemRegistersTest, TheEnvironmentIsNotAskedForTheImplementationsOwn) {
  constexpr SystemRegister kOwn = system_register(3, 3, 15, 2, 0);
  s.environment.registers = {{kOwn, Access::done(1)}};
  EXPECT_TRUE(read(kOwn).is_fault());
  EXPECT_EQ(s.environment.asked_at_el0, std::nullopt);
}

TEST_F(SystemRegistersTest, SctlrLetsEl0ReadTheCacheTypeAndMaskInterrupts) {
  constexpr SystemRegister kCtr = system_register(3, 3, 0, 0, 1);
  constexpr SystemRegister kDczid = system_register(3, 3, 0, 0, 7);
  constexpr SystemRegister kDaif = system_register(3, 3, 4, 2, 1);
  s.at_el0();
  s.core.daif = 0;
  EXPECT_TRUE(read(kCtr).is_trap());
  EXPECT_EQ(read(kDczid), Access::done(zero_block_size() | kDzp));
  EXPECT_TRUE(read(kDaif).is_trap());
  EXPECT_TRUE(write(kDaif, kAll).is_trap());
  EXPECT_TRUE(write_daif(s.core, kMaskAll, true).is_trap());
  EXPECT_EQ(s.core.daif, 0);

  s.core.sctlr |= mask_of(Sctlr::kUct, Sctlr::kDze, Sctlr::kUma);
  EXPECT_EQ(read(kCtr), Access::done(cache_type()));
  EXPECT_EQ(read(kDczid), Access::done(zero_block_size()));
  EXPECT_TRUE(write(kDaif, 5 << 6).is_done());
  EXPECT_EQ(s.core.daif, 5);
  EXPECT_EQ(read(kDaif), Access::done(5 << 6));
}

TEST_F(SystemRegistersTest, DaifBitsAreSetAndClearedOneByOne) {
  s.core.daif = kMaskIrq;
  EXPECT_TRUE(write_daif(s.core, kMaskFiq | kMaskDebug, true).is_done());
  EXPECT_EQ(s.core.daif, kMaskIrq | kMaskFiq | kMaskDebug);
  EXPECT_TRUE(write_daif(s.core, kMaskIrq | kMaskDebug, false).is_done());
  EXPECT_EQ(s.core.daif, kMaskFiq);
}

TEST_F(SystemRegistersTest, TheStackPointerInUseHasNoOtherName) {
  constexpr SystemRegister kSpEl0 = system_register(3, 0, 4, 1, 0);
  constexpr SystemRegister kSpsel = system_register(3, 0, 4, 2, 0);
  s.registers.stack = 0x100;
  EXPECT_TRUE(write(kSpEl0, 0x200).is_done());
  EXPECT_EQ(read(kSpsel), Access::done(1));

  EXPECT_TRUE(write(kSpsel, 0).is_done());
  EXPECT_EQ(s.registers.stack, 0x200U);
  EXPECT_EQ(read(kSpsel), Access::done(0));
  EXPECT_TRUE(read(kSpEl0).is_fault());
  EXPECT_TRUE(write(kSpEl0, 0).is_fault());

  EXPECT_TRUE(write(kSpsel, 1).is_done());
  EXPECT_EQ(s.registers.stack, 0x100U);
}

TEST_F(SystemRegistersTest, PendingInterruptsShowWhateverIsMasked) {
  constexpr SystemRegister kIsr = system_register(3, 0, 12, 1, 0);
  s.environment.irq = true;
  EXPECT_EQ(read(kIsr), Access::done(1 << 7));
  s.environment.fiq = true;
  EXPECT_EQ(read(kIsr), Access::done(1 << 7 | 1 << 6));
}

TEST_F(SystemRegistersTest, CsselrChoosesTheCache) {
  constexpr SystemRegister kCcsidr = system_register(3, 1, 0, 0, 0);
  for (const std::uint64_t selection : {0, 1, 2, 3, 14}) {
    s.core.csselr = selection;
    EXPECT_EQ(read(kCcsidr), Access::done(cache_geometry(s.core.identity, selection)));
  }
}

TEST_F(SystemRegistersTest, ListenersHearOfChangesAndOnlyOfThose) {
  struct Context {
    SystemRegister reg;
    std::uint64_t value;
    ContextRegister which;
  };
  constexpr Context kContexts[] = {
      {system_register(3, 0, 1, 0, 0), Sctlr::kM.kMask, ContextRegister::kSctlr},
      {system_register(3, 0, 1, 0, 2), 3 << 20, ContextRegister::kCpacr},
      {system_register(3, 0, 2, 0, 0), kRam, ContextRegister::kTtbr0},
      {system_register(3, 0, 2, 0, 1), kRam, ContextRegister::kTtbr1},
      {system_register(3, 0, 2, 0, 2), 16, ContextRegister::kTcr},
      {system_register(3, 0, 10, 2, 0), 0xff, ContextRegister::kMair},
      {system_register(2, 0, 0, 2, 2), Mdscr::kSs.kMask, ContextRegister::kDebug},
      {system_register(2, 0, 0, 3, 5), 1, ContextRegister::kDebug},
      {system_register(2, 0, 1, 0, 4), 1, ContextRegister::kDebug},
  };
  for (const Context& context : kContexts) {
    s.listener.contexts.clear();
    EXPECT_TRUE(write(context.reg, context.value).is_done());
    EXPECT_TRUE(write(context.reg, context.value).is_done());
    EXPECT_EQ(s.listener.contexts, std::vector{context.which})
        << std::hex << silicon::arm64::raw(context.reg);
  }
  s.listener.contexts.clear();
  EXPECT_TRUE(write(system_register(3, 0, 12, 0, 0), 0x8000).is_done());
  EXPECT_TRUE(s.listener.contexts.empty()) << "VBAR_EL1 changes no translation";
}

}  // namespace
}  // namespace vpmu::machine::arm64
