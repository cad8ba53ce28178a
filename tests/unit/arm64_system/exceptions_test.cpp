// SPDX-License-Identifier: MIT
//
// Exception entry and return against the Arm ARM, D1.10 and D1.11, and syndromes against D13.2.37.
#include "machine/arm64/exceptions.hpp"

#include <gtest/gtest.h>

#include "unit/arm64_system/system_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using namespace test;

constexpr std::uint64_t kPc = 0x4000'1000, kVectors = 0x4008'0000;
constexpr std::uint64_t kIl = 1 << 25;

struct ExceptionsTest : testing::Test {
  ExceptionsTest() {
    s.core.vbar = kVectors;
    s.registers.counter = kPc;
    s.core.sp_el = {0xaaa0, 0xbbb0};
    s.registers.stack = 0xbbb0;
    s.core.daif = 0;
  }
  void at_el0() {
    s.at_el0();
    s.registers.stack = 0xaaa0;
  }
  void take_it(const Exception& exception) { take(s.core, s.registers, exception); }
  void return_to(std::uint64_t spsr) {
    s.core.spsr = spsr;
    s.core.elr = kPc;
    exception_return(s.core, s.registers);
  }
  System s;
};

struct Origin {
  const char* name;
  ExceptionLevel el;
  bool sp_select;
  std::uint64_t offset;
};
constexpr Origin kOrigins[] = {
    {"EL1t", ExceptionLevel::kEl1, false, 0x000},
    {"EL1h", ExceptionLevel::kEl1, true, 0x200},
    {"EL0t", ExceptionLevel::kEl0, false, 0x400},
};

TEST_F(ExceptionsTest, EveryKindFromEveryOriginHasItsVector) {
  const Exception kinds[] = {exceptions::undefined(kPc), exceptions::irq(kPc), exceptions::fiq(kPc),
                             exceptions::serror(kPc, 0)};
  for (const Origin& origin : kOrigins) {
    for (std::uint64_t kind = 0; kind < 4; ++kind) {
      s.core.el = origin.el;
      s.core.sp_select = origin.sp_select;

      take_it(kinds[kind]);

      EXPECT_EQ(s.registers.counter, kVectors + origin.offset + kind * 0x80) << origin.name << kind;
      EXPECT_EQ(s.core.el, ExceptionLevel::kEl1);
      EXPECT_TRUE(s.core.sp_select);
    }
  }
}

TEST_F(ExceptionsTest, EntrySavesPstateAndMasksEverything) {
  at_el0();
  s.core.daif = kMaskFiq;
  s.core.il = s.core.ss = true;
  s.registers.flags = 0x6000'0000;

  take_it(exceptions::irq(kPc));

  EXPECT_EQ(s.core.spsr, 0x6000'0000U | 1 << 21 | 1 << 20 | 1 << 6);
  EXPECT_EQ(s.core.elr, kPc);
  EXPECT_EQ(s.core.daif, kMaskAll);
  EXPECT_FALSE(s.core.il || s.core.ss);
  EXPECT_EQ(s.registers.flags, 0x6000'0000U);
  EXPECT_EQ(s.registers.exclusives_cleared, 1U);
}

TEST_F(ExceptionsTest, StackPointersChangePlacesAndComeBack) {
  at_el0();
  s.registers.stack = 0xa00;

  take_it(exceptions::irq(kPc));
  EXPECT_EQ(s.registers.stack, 0xbbb0U);
  EXPECT_EQ(s.core.sp_el[0], 0xa00U);

  s.registers.stack = 0xb00;
  return_to(0);
  EXPECT_EQ(s.registers.stack, 0xa00U);
  EXPECT_EQ(s.core.sp_el[1], 0xb00U);

  take_it(exceptions::irq(kPc));
  select_stack(s.core, s.registers, false);
  EXPECT_EQ(s.registers.stack, 0xa00U);
  select_stack(s.core, s.registers, true);
  EXPECT_EQ(s.registers.stack, 0xb00U);
}

TEST_F(ExceptionsTest, PanIsSetUnlessSctlrLeavesItAlone) {
  s.core.sctlr |= Sctlr::kSpan.kMask;
  take_it(exceptions::irq(kPc));
  EXPECT_FALSE(s.core.pan);

  s.core.sctlr &= ~Sctlr::kSpan.kMask;
  take_it(exceptions::irq(kPc));
  EXPECT_TRUE(s.core.pan);
  EXPECT_EQ(s.core.spsr & 1 << 22, 0U);
}

TEST_F(ExceptionsTest, InterruptsLeaveSyndromeAndAddressAlone) {
  s.core.esr = 0x1234;
  s.core.far = 0x5678;
  for (const Exception& exception : {exceptions::irq(kPc), exceptions::fiq(kPc)}) {
    take_it(exception);
    EXPECT_EQ(s.core.esr, 0x1234U);
    EXPECT_EQ(s.core.far, 0x5678U);
  }
}

constexpr std::uint64_t kNoAddress = 0x5555;

/// What each kind reports from EL0 and from EL1.
struct Report {
  const char* name;
  Exception exception;
  std::uint64_t el0_class, el1_class, iss;
  std::uint64_t address;
};

TEST_F(ExceptionsTest, EveryKindReportsWhatTheManualSays) {
  using namespace exceptions;
  constexpr std::uint64_t kAddress = 0xdead'beef;
  constexpr std::uint64_t kConditional = 1 << 24 | 0xe << 20;
  const Fault read{kAddress, MemoryUse::kRead, false, 0x07};
  const Fault write{kAddress, MemoryUse::kWrite, false, 0x0f};
  const Fault maintenance{kAddress, MemoryUse::kWrite, true, 0x05};
  const Fault watched{kAddress, MemoryUse::kWrite, false, fault_status(FaultStatus::kDebug)};
  const Fault fetch{kAddress, MemoryUse::kFetch, false, 0x06};
  const Report reports[] = {
      {"undefined", undefined(kPc), 0x00, 0x00, 0, kNoAddress},
      {"WFI", trapped_wait(kPc, Wfx::kWfi), 0x01, 0x01, kConditional, kNoAddress},
      {"WFE", trapped_wait(kPc, Wfx::kWfe), 0x01, 0x01, kConditional | 1, kNoAddress},
      {"FP", fp_access(kPc), 0x07, 0x07, kConditional, kNoAddress},
      {"illegal state", illegal_state(kPc), 0x0e, 0x0e, 0, kNoAddress},
      {"SVC", svc(kPc, 0xabcd), 0x15, 0x15, 0xabcd, kNoAddress},
      // MRS X7, CTR_EL0: op0 3, op2 1, op1 3, CRn 0, Rt 7, CRm 0, read
      {"MRS", trapped_system(kPc, 0xd53b'0027), 0x18, 0x18,
       3 << 20 | 1 << 17 | 3 << 14 | 7 << 5 | 1, kNoAddress},
      // MSR DAIFSet, #2: op0 0, op2 6, op1 3, CRn 4, Rt 31, CRm 2
      {"MSR", trapped_system(kPc, 0xd503'42df), 0x18, 0x18,
       6 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 2 << 1, kNoAddress},
      {"fetch", abort(kPc, fetch), 0x20, 0x21, 0x06, kAddress},
      {"PC alignment", pc_alignment(kPc + 2), 0x22, 0x22, 0, kPc + 2},
      {"read", abort(kPc, read), 0x24, 0x25, 0x07, kAddress},
      {"write", abort(kPc, write), 0x24, 0x25, 1 << 6 | 0x0f, kAddress},
      {"maintenance", abort(kPc, maintenance), 0x24, 0x25, 1 << 8 | 1 << 6 | 0x05, kAddress},
      {"SP alignment", sp_alignment(kPc), 0x26, 0x26, 0, kNoAddress},
      {"SError", serror(kPc, 0x12), 0x2f, 0x2f, 0x12, kNoAddress},
      {"breakpoint", breakpoint(kPc), 0x30, 0x31, 0x22, kNoAddress},
      {"step", software_step(s.core, kPc), 0x32, 0x33, 0x22, kNoAddress},
      {"watchpoint", watchpoint(kPc, kAddress, false), 0x34, 0x35, 0x22, kAddress},
      {"watchpoint, write", watchpoint(kPc, kAddress, true), 0x34, 0x35, 1 << 6 | 0x22, kAddress},
      {"watchpoint, as a fault", abort(kPc, watched), 0x34, 0x35, 1 << 6 | 0x22, kAddress},
      {"BRK", brk(kPc, 0x1234), 0x3c, 0x3c, 0x1234, kNoAddress},
  };
  for (const Report& report : reports) {
    for (const bool el0 : {true, false}) {
      s.core.el = el0 ? ExceptionLevel::kEl0 : ExceptionLevel::kEl1;
      s.core.sp_select = !el0;
      s.core.far = kNoAddress;

      take_it(report.exception);

      const std::uint64_t which = el0 ? report.el0_class : report.el1_class;
      EXPECT_EQ(s.core.esr, which << 26 | kIl | report.iss) << report.name;
      EXPECT_EQ(s.core.far, report.address) << report.name;
    }
  }
}

TEST_F(ExceptionsTest, ReturnAddressesAreTheInstructionOrTheOneBehindIt) {
  take_it(exceptions::svc(kPc, 0));
  EXPECT_EQ(s.core.elr, kPc + 4);
  take_it(exceptions::brk(kPc, 0));
  EXPECT_EQ(s.core.elr, kPc);
  take_it(exceptions::undefined(kPc));
  EXPECT_EQ(s.core.elr, kPc);
  take_it(exceptions::pc_alignment(kPc + 2));
  EXPECT_EQ(s.core.elr, kPc + 2);
}

TEST_F(ExceptionsTest, AReturnRestoresPstate) {
  for (const Origin& origin : kOrigins) {
    const std::uint64_t mode =
        static_cast<std::uint64_t>(origin.el) << 2 | (origin.sp_select ? 1 : 0);
    take_it(exceptions::irq(kPc));

    return_to(mode | 0x9000'0000 | 1 << 22 | std::uint64_t{kMaskIrq} << 6);

    EXPECT_EQ(s.core.el, origin.el) << origin.name;
    EXPECT_EQ(s.core.sp_select, origin.sp_select);
    EXPECT_EQ(s.core.daif, kMaskIrq);
    EXPECT_TRUE(s.core.pan);
    EXPECT_FALSE(s.core.il);
    EXPECT_EQ(s.registers.flags, 0x9000'0000U);
    EXPECT_EQ(s.registers.counter, kPc);
  }
}

TEST_F(ExceptionsTest, AnIllegalReturnStaysAndSetsIl) {
  // All modes but EL0t, EL1t and EL1h.
  for (std::uint64_t mode = 0; mode < 32; ++mode) {
    if (mode == 0b00000 || mode == 0b00100 || mode == 0b00101) continue;
    s.core.il = false;

    return_to(mode | 0x3000'0000 | std::uint64_t{kMaskFiq} << 6);

    EXPECT_TRUE(s.core.il) << mode;
    EXPECT_EQ(s.core.el, ExceptionLevel::kEl1) << mode;
    EXPECT_EQ(s.registers.stack, 0xbbb0U);
    EXPECT_EQ(s.registers.flags, 0x3000'0000U);
    EXPECT_EQ(s.core.daif, kMaskFiq);
    EXPECT_EQ(s.registers.counter, kPc);
  }
}

TEST_F(ExceptionsTest, IlCanBeReturnedTo) {
  return_to(0b0101 | 1 << 20);
  EXPECT_TRUE(s.core.il);
  EXPECT_EQ(s.core.el, ExceptionLevel::kEl1);
}

TEST_F(ExceptionsTest, AReturnDropsATagThatIsIgnored) {
  constexpr std::uint64_t kLower = 0x1200'0000'0000'1000, kUpper = 0x12ff'ffff'ffff'1000;
  EXPECT_EQ(branch_address(s.core, kLower), kLower);
  EXPECT_EQ(branch_address(s.core, kUpper), kUpper);
  s.core.tcr = Tcr::kTbi0.kMask | Tcr::kTbi1.kMask;
  EXPECT_EQ(branch_address(s.core, kLower), 0x1000U);
  EXPECT_EQ(branch_address(s.core, kUpper), 0xffff'ffff'ffff'1000U);
  s.core.spsr = 0;
  s.core.elr = kLower;
  exception_return(s.core, s.registers);
  EXPECT_EQ(s.registers.counter, 0x1000U);
}

TEST_F(ExceptionsTest, MasksHoldInterruptsBackAtBothLevels) {
  for (const ExceptionLevel el : {ExceptionLevel::kEl0, ExceptionLevel::kEl1}) {
    s.core.el = el;
    s.core.daif = 0;
    EXPECT_EQ(unmasked(s.core, false, false), Pending::kNone);
    EXPECT_EQ(unmasked(s.core, true, false), Pending::kIrq);
    EXPECT_EQ(unmasked(s.core, true, true), Pending::kFiq);
    s.core.daif = kMaskFiq;
    EXPECT_EQ(unmasked(s.core, true, true), Pending::kIrq);
    s.core.daif = kMaskIrq;
    EXPECT_EQ(unmasked(s.core, true, false), Pending::kNone);
  }
}

struct StepTest : ExceptionsTest {
  StepTest() { s.core.mdscr = Mdscr::kSs.kMask; }
  static constexpr std::uint64_t kToEl0 = 1 << 21;
};

TEST_F(StepTest, OneInstructionIsRunAfterAReturnAndThenStepped) {
  EXPECT_EQ(step_state(s.core), StepState::kInactive);
  return_to(kToEl0);
  EXPECT_EQ(step_state(s.core), StepState::kNotPending);
  stepped(s.core, false);
  EXPECT_EQ(step_state(s.core), StepState::kPending);

  take_it(exceptions::software_step(s.core, kPc + 4));

  EXPECT_EQ(s.core.esr, 0x32ULL << 26 | kIl | 1 << 24 | 0x22);
  EXPECT_EQ(s.core.spsr & 1 << 21, 0U);
  EXPECT_EQ(step_state(s.core), StepState::kInactive) << "debug exceptions from EL1 are off";
}

TEST_F(StepTest, TheSyndromeSaysIfALoadExclusiveWasStepped) {
  return_to(kToEl0);
  stepped(s.core, true);
  EXPECT_EQ(exceptions::software_step(s.core, kPc).syndrome & 0x1ff'ffff,
            1U << 24 | 1U << 6 | 0x22);
}

TEST_F(StepTest, AReturnWithoutSsIsSteppedAtOnceAndSaysThatNothingWasRun) {
  return_to(kToEl0);
  stepped(s.core, true);
  return_to(0);
  EXPECT_EQ(step_state(s.core), StepState::kPending);
  s.core.el = ExceptionLevel::kEl1;
  take_it(exceptions::irq(kPc));
  return_to(0);
  EXPECT_EQ(exceptions::software_step(s.core, kPc).syndrome & 0x1ff'ffff, 0x22U);
}

TEST_F(StepTest, AnSvcIsTheInstructionThatWasStepped) {
  return_to(kToEl0);
  take_it(exceptions::svc(kPc, 0));
  EXPECT_EQ(s.core.spsr & 1 << 21, 0U);
}

TEST_F(StepTest, AFaultIsNotAndIsSteppedAgain) {
  return_to(kToEl0);
  take_it(exceptions::undefined(kPc));
  EXPECT_NE(s.core.spsr & 1 << 21, 0U);
}

TEST_F(StepTest, El1IsSteppedOnlyWithKdeAndDClear) {
  struct Row {
    bool kde, masked, os_lock;
    StepState wanted;
  };
  constexpr Row kRows[] = {
      {false, false, false, StepState::kInactive},
      {true, false, false, StepState::kNotPending},
      {true, true, false, StepState::kInactive},
      {true, false, true, StepState::kInactive},
  };
  for (const Row& row : kRows) {
    s.core.daif = kMaskAll;
    s.core.mdscr = Mdscr::kSs.kMask | (row.kde ? Mdscr::kKde.kMask : 0);
    s.core.os_lock = row.os_lock;

    return_to(0b0101 | 1 << 21 | (row.masked ? 1 << 9 : 0));

    EXPECT_EQ(step_state(s.core), row.wanted);
    EXPECT_EQ(s.core.ss, row.wanted == StepState::kNotPending);
  }
}

TEST_F(StepTest, WithoutSteppingAReturnLeavesSsClear) {
  s.core.mdscr = 0;
  return_to(kToEl0);
  EXPECT_FALSE(s.core.ss);
  EXPECT_EQ(step_state(s.core), StepState::kInactive);
}

TEST_F(ExceptionsTest, WaitsOfEl0AreTrappedUnlessAllowed) {
  using exceptions::Wfx;
  EXPECT_FALSE(wait_trapped(s.core, Wfx::kWfi));
  at_el0();
  EXPECT_TRUE(wait_trapped(s.core, Wfx::kWfi));
  EXPECT_TRUE(wait_trapped(s.core, Wfx::kWfe));
  s.core.sctlr |= Sctlr::kNtwi.kMask;
  EXPECT_FALSE(wait_trapped(s.core, Wfx::kWfi));
  EXPECT_TRUE(wait_trapped(s.core, Wfx::kWfe));
  s.core.sctlr |= Sctlr::kNtwe.kMask;
  EXPECT_FALSE(wait_trapped(s.core, Wfx::kWfe));
}

TEST_F(ExceptionsTest, StackAlignmentIsCheckedByLevel) {
  EXPECT_FALSE(stack_misaligned(s.core, 8));
  s.core.sctlr |= Sctlr::kSa.kMask;
  EXPECT_TRUE(stack_misaligned(s.core, 8));
  EXPECT_FALSE(stack_misaligned(s.core, 16));
  at_el0();
  EXPECT_FALSE(stack_misaligned(s.core, 8));
  s.core.sctlr |= Sctlr::kSa0.kMask;
  EXPECT_TRUE(stack_misaligned(s.core, 8));
}

}  // namespace
}  // namespace vpmu::machine::arm64
