// SPDX-License-Identifier: MIT
//
// Instructions one by one: what becomes of registers, the program counter and the guest's
// exceptions.
#include "machine/arm64/emulate.hpp"

#include <gtest/gtest.h>

#include "unit/arm64_system/tables.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr std::uint64_t kVectors = kRam + 0x8000;
constexpr Emulated kRetired{}, kRefused{.retired = false, .exception = true};

constexpr std::uint32_t exception_word(unsigned opc, unsigned ll, std::uint16_t immediate) {
  return 0xd400'0000U | opc << 21 | std::uint32_t{immediate} << 5 | ll;
}
constexpr std::uint32_t svc(std::uint16_t immediate) {
  return exception_word(0, 1, immediate);
}
constexpr std::uint32_t hvc(std::uint16_t immediate) {
  return exception_word(0, 2, immediate);
}
constexpr std::uint32_t smc(std::uint16_t immediate) {
  return exception_word(0, 3, immediate);
}
constexpr std::uint32_t brk(std::uint16_t immediate) {
  return exception_word(1, 0, immediate);
}
constexpr std::uint32_t hlt(std::uint16_t immediate) {
  return exception_word(2, 0, immediate);
}
constexpr std::uint32_t kEret = 0xd69f'03e0, kDrps = 0xd6bf'03e0, kSb = 0xd503'30ff,
                        kUdf = 0x0000'0000;
static_assert(svc(0) == 0xd400'0001 && hlt(0xf000) == 0xd45e'0000);

/// MSR (immediate): op1 and op2 name the field.
constexpr std::uint32_t msr_immediate(unsigned op1, unsigned op2, unsigned value) {
  return 0xd500'401fU | op1 << 16 | value << 8 | op2 << 5;
}
constexpr std::uint32_t pan(unsigned value) {
  return msr_immediate(0, 4, value);
}
constexpr std::uint32_t spsel(unsigned value) {
  return msr_immediate(0, 5, value);
}
constexpr std::uint32_t daifset(unsigned value) {
  return msr_immediate(3, 6, value);
}
constexpr std::uint32_t daifclr(unsigned value) {
  return msr_immediate(3, 7, value);
}
static_assert(daifset(2) == 0xd503'42df);

struct EmulateTest : testing::Test {
  EmulateTest() {
    s.core.vbar = kVectors;
    s.core.cpacr = 3 << 20;
    for (unsigned n = 0; n < 31; ++n) s.registers.general[n] = 100 + n;
  }
  void expect_next() { EXPECT_EQ(s.registers.counter, System::kCode + 4); }
  /// Refused with an exception of that class, at the instruction.
  void expect_refused(std::uint32_t word, std::uint64_t which) {
    s.registers.counter = System::kCode;
    EXPECT_EQ(s.run(word), kRefused) << std::hex << word;
    EXPECT_EQ(s.exception_class(), which) << std::hex << word;
    EXPECT_EQ(s.core.elr, System::kCode);
  }
  System s;
};

TEST_F(EmulateTest, RegistersAreReadAndWritten) {
  constexpr SystemRegister kTpidr = system_register(3, 0, 13, 0, 4);
  EXPECT_EQ(s.run(msr(kTpidr, 5)), kRetired);
  expect_next();
  EXPECT_EQ(s.core.tpidr_el1, 105U);

  EXPECT_EQ(s.run(mrs(9, kTpidr)), kRetired);
  EXPECT_EQ(s.registers.general[9], 105U);
  EXPECT_EQ(s.run(msr(kTpidr, 31)), kRetired);
  EXPECT_EQ(s.core.tpidr_el1, 0U);
  EXPECT_EQ(s.run(mrs(31, kTpidr)), kRetired);
}

TEST_F(EmulateTest, UndefinedAndTrappedRegistersAreExceptions) {
  expect_refused(mrs(0, system_register(3, 4, 1, 1, 0)), 0x00);
  expect_refused(msr(system_register(3, 0, 0, 0, 0), 0), 0x00);
  s.at_el0();
  expect_refused(mrs(7, system_register(3, 3, 0, 0, 1)), 0x18);
  EXPECT_EQ(s.iss(), 3U << 20 | 1U << 17 | 3U << 14 | 7U << 5 | 1U);
  EXPECT_EQ(s.registers.general[7], 107U);
}

TEST_F(EmulateTest, PstateIsWrittenByImmediates) {
  s.core.daif = 0;
  s.core.sp_el[0] = 0x5000;
  EXPECT_EQ(s.run(daifset(0xa)), kRetired);
  expect_next();
  EXPECT_EQ(s.core.daif, 0xa);
  EXPECT_EQ(s.run(daifclr(0x2)), kRetired);
  EXPECT_EQ(s.core.daif, 0x8);
  EXPECT_EQ(s.run(pan(1)), kRetired);
  EXPECT_TRUE(s.core.pan);
  EXPECT_EQ(s.run(pan(0)), kRetired);
  EXPECT_FALSE(s.core.pan);
  EXPECT_EQ(s.run(spsel(0)), kRetired);
  EXPECT_FALSE(s.core.sp_select);
  EXPECT_EQ(s.registers.stack, 0x5000U);
}

TEST_F(EmulateTest, El0WritesPstateOnlyAsFarAsItMay) {
  s.core.sctlr |= Sctlr::kUma.kMask;
  s.at_el0();
  EXPECT_EQ(s.run(daifclr(0xf)), kRetired);
  EXPECT_EQ(s.core.daif, 0);
  for (const std::uint32_t word : {pan(1), spsel(1)}) {
    s.at_el0();
    expect_refused(word, 0x00);
  }
  s.core.sctlr &= ~Sctlr::kUma.kMask;
  for (const std::uint32_t word : {daifset(1), daifclr(1)}) {
    s.at_el0();
    expect_refused(word, 0x18);
  }
}

TEST_F(EmulateTest, FieldsOfPstateThatAreNotThereAreUndefined) {
  for (const std::uint32_t word : {
           msr_immediate(0, 3, 1),      // UAO
           msr_immediate(3, 1, 1),      // SSBS
           msr_immediate(3, 2, 1),      // DIT
           msr_immediate(3, 4, 1),      // TCO
           pan(1) & ~std::uint32_t{1},  // Rt is not 31
           std::uint32_t{0xd500'001f},  // no such CRn
       }) {
    expect_refused(word, 0x00);
  }
}

TEST_F(EmulateTest, TheCarryFlagIsInverted) {
  constexpr std::uint32_t kCfinv = 0xd500'401f;
  s.registers.flags = 0x9000'0000;
  EXPECT_EQ(s.run(kCfinv), kRetired);
  EXPECT_EQ(s.registers.flags, 0xb000'0000U);
  s.at_el0();
  EXPECT_EQ(s.run(kCfinv), kRetired);
  EXPECT_EQ(s.registers.flags, 0x9000'0000U);
}

TEST_F(EmulateTest, AnSvcRetiresAndIsAnException) {
  s.at_el0();
  EXPECT_EQ(s.run(svc(0x1234)), (Emulated{.retired = true, .exception = true}));
  EXPECT_EQ(s.exception_class(), 0x15U);
  EXPECT_EQ(s.iss(), 0x1234U);
  EXPECT_EQ(s.core.elr, System::kCode + 4);
  EXPECT_EQ(s.registers.counter, kVectors + 0x400);
}

TEST_F(EmulateTest, BrkSaysWhichAndDoesNotRetire) {
  expect_refused(brk(0xf00d), 0x3c);
  EXPECT_EQ(s.iss(), 0xf00dU);
}

TEST_F(EmulateTest, UndefinedInstructionsAreOfClassZero) {
  constexpr std::uint32_t kCasal = 0xc8e0'fc41, kLdadd = 0xf820'0041, kLdapr = 0xf8bf'c020,
                          kPacga = 0x9ac1'3000;
  for (const std::uint32_t word : {
           kUdf, std::uint32_t{0xffff'ffff}, kDrps, exception_word(5, 1, 0),  // DCPS1
           exception_word(0, 0, 0), exception_word(3, 0, 0), svc(0) | 4, hlt(0), hlt(0xefff),
           kCasal, kLdadd, kLdapr, kPacga, std::uint32_t{0xd503'305f},  // CLREX is the engine's
       }) {
    expect_refused(word, 0x00);
    EXPECT_EQ(s.iss(), 0U);
  }
}

TEST_F(EmulateTest, CallsGoToTheEnvironmentWithTheirRegisters) {
  for (unsigned n = 0; n < 18; ++n) s.environment.answer[n] = 1000 + n;
  s.environment.answer[17] = 117;  // as it was

  EXPECT_EQ(s.run(hvc(3)), kRetired);

  expect_next();
  ASSERT_EQ(s.environment.calls.size(), 1U);
  const Call& call = s.environment.calls[0];
  EXPECT_EQ(call.conduit, Call::Conduit::kHvc);
  EXPECT_EQ(call.immediate, 3);
  for (unsigned n = 0; n < 18; ++n) EXPECT_EQ(call.x[n], 100 + n);
  for (unsigned n = 0; n < 17; ++n) EXPECT_EQ(s.registers.general[n], 1000 + n);
  EXPECT_EQ(s.registers.general[17], 117U);
  EXPECT_EQ(s.registers.general[18], 118U);

  EXPECT_EQ(s.run(smc(0)), kRetired);
  EXPECT_EQ(s.environment.calls[1].conduit, Call::Conduit::kSmc);
}

TEST_F(EmulateTest, El0HasNoCallsNoReturnsAndNoSemihosting) {
  for (const std::uint32_t word : {hvc(0), smc(0), kEret, hlt(0xf000)}) {
    s.at_el0();
    expect_refused(word, 0x00);
  }
  EXPECT_TRUE(s.environment.calls.empty());
}

TEST_F(EmulateTest, SemihostingAnswersInX0) {
  s.registers.general[0] = 0xffff'ffff'0000'0018;
  EXPECT_EQ(s.run(hlt(0xf000)), kRetired);
  expect_next();
  EXPECT_EQ(s.environment.semihosted, (std::pair<std::uint32_t, std::uint64_t>{0x18, 101}));
  EXPECT_EQ(s.registers.general[0], 7U);

  s.environment.knows_semihosting = false;
  expect_refused(hlt(0xf000), 0x00);
  EXPECT_EQ(s.registers.general[0], 7U);
}

TEST_F(EmulateTest, EretReturns) {
  s.core.spsr = 0;
  s.core.elr = 0x1'2340;
  EXPECT_EQ(s.run(kEret), Emulated{.exception_return = true});
  EXPECT_EQ(s.core.el, ExceptionLevel::kEl0);
  EXPECT_EQ(s.registers.counter, 0x1'2340U);
}

TEST_F(EmulateTest, NothingIsExecutedInIllegalState) {
  s.core.il = true;
  expect_refused(kSb, 0x0e);
  EXPECT_NE(s.core.spsr & 1 << 20, 0U);
  EXPECT_EQ(s.run(kSb), kRetired) << "the exception has cleared it";
}

TEST_F(EmulateTest, ASpeculationBarrierIsDoneAtEitherLevel) {
  EXPECT_EQ(s.run(kSb), kRetired);
  expect_next();
  s.at_el0();
  EXPECT_EQ(s.run(kSb), kRetired);
}

TEST_F(EmulateTest, FpIsTrappedWhenItIsOff) {
  constexpr std::uint32_t kFadd = 0x1e62'2820, kLdrQ = 0x3dc0'0000, kLdpD = 0x6d40'0400,
                          kAddV = 0x4e22'8420, kMrsFpcr = 0xd53b'4400, kMsrFpsr = 0xd51b'4420,
                          kSha256 = 0x5e02'4020;
  s.core.cpacr = 0;
  for (const std::uint32_t word : {kFadd, kLdrQ, kLdpD, kAddV, kMrsFpcr, kMsrFpsr, kSha256}) {
    EXPECT_TRUE(uses_fp(word));
    expect_refused(word, 0x07);
    EXPECT_EQ(s.iss(), 0x1e0'0000U);
  }
  constexpr std::uint32_t kAdd = 0x8b01'0000, kLdr = 0xf940'0000, kCrc32 = 0x9ac1'4c00,
                          kMrsNzcv = 0xd53b'4200, kB = 0x1400'0000;
  for (const std::uint32_t word : {kAdd, kLdr, kCrc32, kMrsNzcv, kB, svc(0), kUdf}) {
    EXPECT_FALSE(uses_fp(word)) << std::hex << word;
  }
}

/// LDTR and STTR at EL1, of a page that EL0 may access, and of one that it may not.
struct UnprivilegedTest : EmulateTest {
  static constexpr std::uint64_t kPage = 0x10'0000, kPrivate = 0x10'1000, kData = kRam + 0x20'0000;
  static constexpr std::uint64_t kPattern = 0xf877'6655'c433'a291;

  UnprivilegedTest() {
    path.map(kPage, 3, kData | kAccessedBit | kEl0Bit);
    path.map(kPrivate, 3, kRam | kAccessedBit);
    s.put(kData + 16, kPattern);
  }
  /// Rt = X2, Rn = X1.
  static constexpr std::uint32_t word(unsigned size, unsigned opc, int offset, unsigned rn = 1) {
    return 0x3800'0800U | size << 30 | opc << 22 | (static_cast<unsigned>(offset) & 0x1ff) << 12 |
           rn << 5 | 2;
  }
  Path path{s, k4K};
};

TEST_F(UnprivilegedTest, EverySizeIsLoadedAndExtended) {
  struct Row {
    const char* name;
    unsigned size, opc;
    std::uint64_t value;
  };
  constexpr Row kRows[] = {
      {"LDTRB", 0, 1, 0x91},
      {"LDTRSB X", 0, 2, 0xffff'ffff'ffff'ff91},
      {"LDTRSB W", 0, 3, 0xffff'ff91},
      {"LDTRH", 1, 1, 0xa291},
      {"LDTRSH X", 1, 2, 0xffff'ffff'ffff'a291},
      {"LDTRSH W", 1, 3, 0xffff'a291},
      {"LDTR W", 2, 1, 0xc433'a291},
      {"LDTRSW", 2, 2, 0xffff'ffff'c433'a291},
      {"LDTR X", 3, 1, kPattern},
  };
  for (const Row& row : kRows) {
    s.registers.counter = System::kCode;
    s.registers.general[1] = kPage + 24;
    EXPECT_TRUE(is_unprivileged_access(word(row.size, row.opc, -8)));
    EXPECT_EQ(s.run(word(row.size, row.opc, -8)), Emulated{.loaded = true}) << row.name;
    EXPECT_EQ(s.registers.general[2], row.value) << row.name;
    expect_next();
  }
}

TEST_F(UnprivilegedTest, EverySizeIsStored) {
  for (unsigned size = 0; size < 4; ++size) {
    s.registers.general[1] = kPage;
    s.registers.general[2] = kPattern;
    s.put(kData + 255, std::uint64_t{0});
    EXPECT_EQ(s.run(word(size, 0, 255)), Emulated{.stored = true});
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - (8U << size));
    EXPECT_EQ(s.get<std::uint64_t>(kData + 255), kPattern & mask) << size;
  }
}

TEST_F(UnprivilegedTest, WhatIsNotAllocatedIsUndefined) {
  for (const std::uint32_t unallocated : {word(2, 3, 0), word(3, 2, 0), word(3, 3, 0)}) {
    expect_refused(unallocated, 0x00);
  }
}

TEST_F(UnprivilegedTest, TheyHaveEl0sRightsAndPanIsNotAsked) {
  s.core.pan = true;
  s.registers.general[1] = kPage;
  EXPECT_EQ(s.run(word(3, 1, 0)), Emulated{.loaded = true});

  s.registers.general[1] = kPrivate;
  expect_refused(word(3, 1, 8), 0x25);
  EXPECT_EQ(s.iss(), fault_status(FaultStatus::kPermission, 3));
  EXPECT_EQ(s.core.far, kPrivate + 8);
  expect_refused(word(3, 0, 8), 0x25);
  EXPECT_EQ(s.iss(), 1U << 6 | fault_status(FaultStatus::kPermission, 3));
}

TEST_F(UnprivilegedTest, TheStackPointerIsABaseAndMustBeAligned) {
  s.registers.stack = kPage + 16;
  EXPECT_EQ(s.run(word(3, 1, 0, 31)), Emulated{.loaded = true});
  EXPECT_EQ(s.registers.general[2], kPattern);

  s.core.sctlr |= Sctlr::kSa.kMask;
  s.registers.stack = kPage + 8;
  expect_refused(word(3, 1, 8, 31), 0x26);
}

TEST_F(UnprivilegedTest, RegisterThirtyOneIsZero) {
  s.registers.general[1] = kPage + 16;
  EXPECT_EQ(s.run((word(3, 0, 0) & ~31U) | 31), Emulated{.stored = true});
  EXPECT_EQ(s.get<std::uint64_t>(kData + 16), 0U);
  EXPECT_EQ(s.run((word(3, 1, 0) & ~31U) | 31), Emulated{.loaded = true});
}

}  // namespace
}  // namespace vpmu::machine::arm64
