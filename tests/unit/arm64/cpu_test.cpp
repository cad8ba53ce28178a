// SPDX-License-Identifier: MIT
#include "machine/arm64/cpu.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::RawEvent;

class ArmCpu : public testing::Test {
 protected:
  /// Counts X0 down from `from`, three instructions a round behind the first one, then goes on
  /// with X1.
  void start_countdown(std::uint32_t from) {
    machine.start({code::movz(0, from), code::add(1, 1, 7), code::subs(0, 0, 1), code::b_ne(-2),
                   code::hvc(0)});
  }

  TestMachine machine;
  Cpu& cpu = machine.cpu;
};

TEST_F(ArmCpu, IsOffUntilItIsSwitchedOn) {
  EXPECT_EQ(cpu.run(10, kForEver), Cpu::Exit::kWaiting);
  EXPECT_FALSE(cpu.runnable());

  cpu.power_on(kCode, 42);

  EXPECT_TRUE(cpu.runnable());
  EXPECT_EQ(machine.x(0), 42U);
  EXPECT_EQ(cpu.place().linear, kCode);
  EXPECT_FALSE(cpu.place().user);
}

TEST_F(ArmCpu, CountsEveryInstructionOfALoop) {
  start_countdown(1000);

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kWaiting);

  EXPECT_EQ(machine.x(1), 7000U);
  EXPECT_EQ(machine.instructions(), 1 + 3 * 1000 + 1U);
  EXPECT_EQ(cpu.cycles(), machine.instructions());
  EXPECT_EQ(cpu.instructions_in(Cpu::Mode::kFast), machine.instructions());
}

TEST_F(ArmCpu, StopsExactlyAfterAnyNumberOfInstructions) {
  for (std::uint64_t count = 1; count < 200; ++count) {
    start_countdown(1000);
    const std::uint64_t before = machine.instructions();

    EXPECT_EQ(cpu.run(count, kForEver), Cpu::Exit::kBudget);

    EXPECT_EQ(machine.instructions() - before, count);
    EXPECT_EQ(cpu.registers().pc(), kCode + 4 * (1 + (count - 1) % 3)) << count;
  }
}

TEST_F(ArmCpu, StopsAtTheCycle) {
  start_countdown(1000);

  EXPECT_EQ(cpu.run(kForEver, 500), Cpu::Exit::kBudget);
  EXPECT_EQ(cpu.cycles(), 500U);
}

TEST_F(ArmCpu, IndirectBranchesEndWithTheBudgetToo) {
  // A loop of a block that ends in BR, and one of BR alone.
  machine.start({code::add(1, 1, 1), code::br(2)});
  cpu.registers().set_x(2, kCode);
  EXPECT_EQ(cpu.run(1001, kForEver), Cpu::Exit::kBudget);
  EXPECT_EQ(machine.x(1), 501U);

  machine.start({code::br(2)});
  cpu.registers().set_x(2, kCode);
  EXPECT_EQ(cpu.run(1001, kForEver), Cpu::Exit::kBudget);
  EXPECT_EQ(machine.instructions(), 2002U);
}

TEST_F(ArmCpu, ReturnsThatReturnToThemselvesEndWithTheBudgetToo) {
  // Eight calls fill any return stack with the place of a RET that goes to itself.
  for (const std::uint32_t filler : {code::kNop, code::add(1, 1, 1)}) {
    machine.start({code::bl(3), filler, code::kRet, code::subs(0, 0, 1), code::b_ne(-4),
                   code::bl(1), code::b(-5)});
    cpu.registers().set_x(0, 20);

    EXPECT_EQ(cpu.run(5000, kForEver), Cpu::Exit::kBudget);
  }
  EXPECT_EQ(machine.instructions(), 10'000U);
}

TEST_F(ArmCpu, AFaultInTheMiddleOfABlockIsWhereItIs) {
  machine.start(
      {code::movz(0, 1), code::add(0, 0, 1), code::ldr(2, 3), code::add(0, 0, 1), code::b(-4)});
  machine.map();
  cpu.registers().set_x(3, std::uint64_t{1} << 38);  // not mapped
  machine.load(kVectors + 0x200, {code::hvc(0)});

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kWaiting);

  EXPECT_EQ(cpu.core().elr, kCode + 8);
  EXPECT_EQ(cpu.core().far, std::uint64_t{1} << 38);
  EXPECT_EQ(machine.x(0), 2U);
  EXPECT_EQ(machine.instructions(), 3U);
  EXPECT_EQ(machine.total(RawEvent::kExceptions), 1U);
  EXPECT_EQ(cpu.cycles(), 3 + 16U);
}

TEST_F(ArmCpu, AccessesWhereNothingIsAreExternalAborts) {
  constexpr std::uint64_t kWrite = 0x40, kAbort = 0x9600'0010;
  for (const auto mode : {Cpu::Mode::kFast, Cpu::Mode::kBlocks, Cpu::Mode::kSteps}) {
    cpu.allow(mode);
    for (const std::uint32_t word : {code::ldr(0, 20), code::ldp(0, 1, 20), code::str(0, 20)}) {
      machine.start({code::kNop, word, code::kNop});
      machine.load(kVectors + 0x200, {code::hvc(0)});
      cpu.registers().set_x(20, kNothing);
      EXPECT_EQ(cpu.run(100, kForEver), Cpu::Exit::kWaiting);
      EXPECT_EQ(cpu.core().esr, kAbort | (word == code::str(0, 20) ? kWrite : 0));
      EXPECT_EQ(cpu.core().far, kNothing);
      EXPECT_EQ(cpu.core().elr, kCode + 4);
      EXPECT_TRUE(machine.touched.empty());
    }
  }
}

TEST_F(ArmCpu, ABranchToNoAddressFaultsThere) {
  constexpr std::uint64_t kPoison = 0xdead'0000'0000'0100;
  for (const auto mode : {Cpu::Mode::kFast, Cpu::Mode::kBlocks, Cpu::Mode::kSteps}) {
    cpu.allow(mode);
    machine.start({code::kNop, code::br(5)});
    machine.map();
    machine.load(kVectors + 0x200, {code::hvc(0)});
    cpu.registers().set_x(5, kPoison);
    EXPECT_EQ(cpu.run(100, kForEver), Cpu::Exit::kWaiting);
    EXPECT_EQ(cpu.core().esr, 0x8600'0004U) << "translation fault, level 0";
    EXPECT_EQ(cpu.core().far, kPoison);
    EXPECT_EQ(cpu.core().elr, kPoison);
  }
}

TEST_F(ArmCpu, SaysTheCachesOfItsModel) {
  const silicon::MemoryHierarchy& caches = silicon::arm64::find_cpu_model("neoverse-n1")->memory;
  const Identity& identity = cpu.core().identity;
  EXPECT_EQ(identity.l1, (CacheSize{caches.l1d.sets, caches.l1d.ways}));
  EXPECT_EQ(identity.l2, (CacheSize{caches.l2.sets, caches.l2.ways}));

  const auto* a72 = silicon::arm64::find_cpu_model("cortex-a72");
  const Cpu other{machine.memory, machine,           machine.cluster,
                  machine.totals, machine.deadlines, {.model = a72, .index = 0}};
  EXPECT_EQ(other.core().identity.l1, (CacheSize{a72->memory.l1d.sets, a72->memory.l1d.ways}));
  EXPECT_NE(other.core().identity.l1, identity.l1);
}

TEST_F(ArmCpu, DevicesSeeTheExactTime) {
  machine.start({code::movz(4, 0x0900, 1), code::kNop, code::kNop, code::ldr(5, 4, 1), code::kNop,
                 code::str_word(0, 4, 4), code::hvc(0)});
  cpu.run(kForEver, kForEver);

  ASSERT_EQ(machine.touched.size(), 2U);
  EXPECT_EQ(machine.touched[0], (TestMachine::Touch{kDevice + 8, 3, 3}));
  EXPECT_EQ(machine.touched[1], (TestMachine::Touch{kDevice + 16, 5, 5}));
  EXPECT_EQ(machine.x(5), (kDevice + 8) * 3 + 3);
}

TEST_F(ArmCpu, AnInterruptThatAnAccessRaisesComesBehindTheAccess) {
  machine.start({code::movz(4, 0x0900, 1), code::str_word(0, 4), code::kNop, code::hvc(0)});
  cpu.core().daif = 0;
  machine.raises_irq = true;
  machine.load(kVectors + 0x280, {code::hvc(0)});

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kWaiting);

  EXPECT_EQ(cpu.core().elr, kCode + 8);
  EXPECT_EQ(machine.total(RawEvent::kInterrupts), 1U);
  EXPECT_EQ(machine.instructions(), 3U);
}

TEST_F(ArmCpu, AnExitThatADeviceRequestsComesBehindTheAccess) {
  machine.start({code::movz(4, 0x0900, 1), code::str_word(0, 4), code::kNop, code::hvc(0)});
  machine.requests_exit = true;

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kRequested);
  EXPECT_EQ(cpu.registers().pc(), kCode + 8);
  EXPECT_EQ(machine.instructions(), 2U);
}

TEST_F(ArmCpu, AnExitRequestedBetweenRunsIsNotAnInstruction) {
  machine.start({code::add(0, 0, 1), code::b(-1)});
  for (std::uint64_t n = 1; n <= 10; ++n) {
    cpu.request_exit();
    ASSERT_EQ(cpu.run(1, kForEver), Cpu::Exit::kRequested);
    ASSERT_EQ(cpu.run(1, kForEver), Cpu::Exit::kBudget);
    ASSERT_EQ(machine.instructions(), n);
    ASSERT_EQ(machine.x(0), (n + 1) / 2);
  }
}

TEST_F(ArmCpu, CodeThatIsOverwrittenIsGone) {
  // Overwrites the MOVZ of X6 behind it in the same block: 1 becomes 2.
  machine.start({code::str_word(0, 1), code::kNop, code::movz(6, 1), code::hvc(0)});
  cpu.registers().set_x(0, code::movz(6, 2));
  cpu.registers().set_x(1, kCode + 8);

  cpu.run(kForEver, kForEver);

  EXPECT_EQ(machine.x(6), 2U);
  EXPECT_EQ(machine.instructions(), 4U);
}

TEST_F(ArmCpu, WaitsForAnInterrupt) {
  machine.start({code::kWfi, code::add(1, 1, 1), code::hvc(0)});

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kHalted);
  EXPECT_EQ(machine.instructions(), 1U);
  EXPECT_FALSE(cpu.runnable());
  EXPECT_FALSE(cpu.waits_for_event());

  machine.irq = true;  // masked: it wakes, and is not taken
  EXPECT_TRUE(cpu.runnable());
  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kWaiting);
  EXPECT_EQ(machine.x(1), 1U);
}

TEST_F(ArmCpu, WaitsForAnEvent) {
  machine.start({code::kSevl, code::kWfe, code::kWfe, code::kSev, code::hvc(0)});

  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kHalted);
  EXPECT_EQ(machine.instructions(), 3U);
  EXPECT_TRUE(cpu.waits_for_event());

  cpu.set_event();
  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kWaiting);
  EXPECT_FALSE(cpu.waits_for_event());
  EXPECT_EQ(machine.events_sent, 1U);
}

TEST_F(ArmCpu, WaitingForAnEventEndsWhenWhatWasLoadedExclusiveIsWritten) {
  machine.start({code::ldxr(0, 19), code::kWfe, code::hvc(0)});
  EXPECT_EQ(cpu.run(kForEver, kForEver), Cpu::Exit::kHalted);
  EXPECT_FALSE(cpu.runnable());

  const std::uint32_t changed = 1;
  machine.load(kData, {changed});

  EXPECT_TRUE(cpu.runnable());
}

TEST_F(ArmCpu, ASavedExclusiveAccessCanBeCompletedElsewhere) {
  machine.start({code::ldxr(0, 19), code::add(0, 0, 5), code::stxr(1, 0, 19), code::ldr(2, 19),
                 code::stxr(3, 0, 19), code::hvc(0)});
  machine.load(kData, {37, 0});
  cpu.run(2, kForEver);
  const CpuState state = cpu.save();
  ASSERT_TRUE(state.exclusive.held);

  cpu.power_on(kCode + 0x1000, 0);
  ASSERT_FALSE(cpu.save().exclusive.held);
  cpu.request_exit();
  ASSERT_TRUE(cpu.restore(state));
  EXPECT_EQ(cpu.save(), state);
  cpu.run(kForEver, kForEver);

  EXPECT_EQ(machine.x(1), 0U);
  EXPECT_EQ(machine.x(2), 42U);
  EXPECT_EQ(machine.x(3), 1U);
}

TEST_F(ArmCpu, AStateOfAnotherCpuIsRefused) {
  CpuState state = cpu.save();
  state.core.identity.index = 5;

  EXPECT_FALSE(cpu.restore(state));
}

TEST_F(ArmCpu, SystemRegistersAreEmulatedBetweenBlocks) {
  machine.start({code::movz(0, 77), code::write_tpidr_el1(0), code::kNop, code::read_tpidr_el1(1),
                 code::hvc(0)});

  cpu.run(kForEver, kForEver);

  EXPECT_EQ(machine.x(1), 77U);
  EXPECT_EQ(machine.instructions(), 5U);
}

TEST_F(ArmCpu, RegistersMoveBetweenLevelsAndEachCountsItsOwn) {
  machine.start({code::movz(0, 5), code::svc(0), code::add(0, 0, 1), code::svc(0)});
  constexpr std::uint32_t kMoveToV0 = 0x9e67'0000;    // fmov d0, x0
  constexpr std::uint32_t kMoveFromV0 = 0x9e66'0001;  // fmov x1, d0
  machine.load(kVectors + 0x400, {code::add(0, 0, 10), kMoveToV0, kMoveFromV0, code::kEret});
  cpu.core().el = ExceptionLevel::kEl0;
  cpu.core().sp_select = false;
  cpu.state_changed();
  EXPECT_TRUE(cpu.place().user);

  cpu.run(9, kForEver);

  EXPECT_EQ(machine.x(0), 26U);
  EXPECT_EQ(machine.x(1), 15U);
  EXPECT_FALSE(cpu.place().user);
  EXPECT_EQ(machine.totals.read(RawEvent::kInstructions, {.user = true}), 4U);
  EXPECT_EQ(machine.totals.read(RawEvent::kInstructions, {.kernel = true}), 5U);
  EXPECT_EQ(machine.total(RawEvent::kExceptions), 2U);
  EXPECT_EQ(machine.total(RawEvent::kExceptionReturns), 1U);
  EXPECT_EQ(cpu.cycles(), 9 + 2 * 16U);
}

/// Two processes with other code at the same address, which take turns five times; on its way from
/// one to the other the kernel (at EL1, in both) goes by a table that has neither.
class ArmProcesses : public ArmCpu {
 protected:
  static constexpr std::uint64_t kBlock = 1, kTableEntry = 3, kAccessed = 1U << 10;
  static constexpr std::uint64_t kUser = kBlock | 1U << 6 | kAccessed | 1U << 11;
  static constexpr std::uint64_t kGigabyte = 1U << 30, kUserOffset = 0x5'0000;

  static std::uint64_t table(unsigned process) { return kTable + 0x2000 * (1 + process); }
  static std::uint64_t user_entry(unsigned process) { return table(process) + 0x1000; }
  static std::uint64_t block(unsigned process) { return kCode + process * kRam / 2; }

  void write(std::uint64_t at, std::uint64_t value) {
    machine.memory.write(at, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  }
  std::uint64_t read(std::uint64_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, machine.memory.host(at, sizeof value), sizeof value);
    return value;
  }
  void start_processes() {
    machine.start({code::write_ttbr0(20), code::write_ttbr0(21), code::write_elr(22),
                   code::write_spsr(code::kZr), code::kEret});
    machine.map();
    for (const std::uint32_t process : {0U, 1U}) {
      write(table(process) + 8, kCode | kBlock | kAccessed);
      write(table(process) + 16, user_entry(process) | kTableEntry);
      write(user_entry(process), block(process) | kUser);
      machine.load(block(process) + kUserOffset, {code::movz(0, process + 1), code::svc(0)});
      cpu.registers().set_x(21 + 4 * process, table(process));
    }
    // An abort maps what X28 says. A call is a digit of X24; then it is the other one's turn.
    machine.load(kVectors + 0x400,
                 {code::read_esr(9), code::tbz(9, 31, 3), code::str(28, 29), code::kEret,
                  code::madd(24, 24, 27, 0), code::eor_register(21, 21, 25),
                  code::eor_register(25, 21, 25), code::eor_register(21, 21, 25),
                  code::subs(26, 26, 1), code::b_ne(-(0x8400 / 4 + 9)), code::hvc(0)});
    cpu.registers().set_x(20, kTable);
    cpu.registers().set_x(22, 2 * kGigabyte + kUserOffset);
    cpu.registers().set_x(26, 5);
    cpu.registers().set_x(27, 10);
  }
};

TEST_F(ArmProcesses, EachRunsItsOwnCode) {
  start_processes();
  EXPECT_EQ(cpu.run(1000, kForEver), Cpu::Exit::kWaiting);
  EXPECT_EQ(machine.x(24), 12121U);
  EXPECT_EQ(machine.total(RawEvent::kExceptions), 5U);
}

TEST_F(ArmProcesses, OneThatHasNotTouchedItsCodeYetFaultsWhereTheOtherOneHasSome) {
  for (const unsigned mapped : {0U, 1U}) {
    start_processes();
    write(user_entry(1), 0);
    cpu.registers().set_x(28, block(mapped) | kUser);
    cpu.registers().set_x(29, user_entry(1));
    const std::uint64_t before = machine.total(RawEvent::kExceptions);
    EXPECT_EQ(cpu.run(1000, kForEver), Cpu::Exit::kWaiting);
    EXPECT_EQ(machine.x(24), mapped == 0 ? 11111U : 12121U);
    EXPECT_EQ(machine.total(RawEvent::kExceptions) - before, 6U);
  }
}

TEST_F(ArmProcesses, FetchesOfTheNextTurnSetTheAccessFlagAgain) {
  constexpr std::uint64_t kHardwareSetsIt = std::uint64_t{1} << 39;
  start_processes();
  cpu.core().tcr |= kHardwareSetsIt;
  cpu.state_changed();
  cpu.registers().set_x(25, table(0));
  while (machine.x(24) != 11) cpu.run(1, kForEver);
  write(user_entry(0), read(user_entry(0)) & ~kAccessed);
  EXPECT_EQ(cpu.run(1000, kForEver), Cpu::Exit::kWaiting);
  EXPECT_EQ(machine.x(24), 11111U);
  EXPECT_NE(read(user_entry(0)) & kAccessed, 0U);
}

TEST_F(ArmCpu, FloatingPointIsTrappedWhereItIsNotEnabled) {
  constexpr std::uint64_t kFpAccess = 0x07;
  machine.start({code::movz(0, 5), 0x9e67'0000, code::hvc(0)});
  machine.load(kVectors + 0x200, {code::hvc(0)});
  cpu.core().cpacr = 0;
  cpu.state_changed();

  cpu.run(kForEver, kForEver);

  EXPECT_EQ(cpu.core().esr >> 26, kFpAccess);
  EXPECT_EQ(cpu.core().elr, kCode + 4);
}

TEST_F(ArmCpu, UndefinedInstructionsDoNotRetire) {
  machine.start({code::movz(0, 77), code::kUdf});
  machine.load(kVectors + 0x200, {code::hvc(0)});

  cpu.run(kForEver, kForEver);

  EXPECT_EQ(cpu.core().elr, kCode + 4);
  EXPECT_EQ(machine.instructions(), 2U);
}

TEST_F(ArmCpu, SoftwareStepsAndBreakpointsComeBetweenInstructions) {
  constexpr std::uint64_t kStep = 0x32, kBreakpoint = 0x30, kWatchpoint = 0x34;
  const auto exception_class = [&] { return cpu.core().esr >> 26 & 0x3e; };
  const auto debug = [&](std::uint64_t mdscr) {
    machine.start({code::movz(0, 1), code::movz(1, 1), code::ldr(2, 19, 2), code::hvc(0)});
    machine.load(kVectors + 0x200, {code::hvc(0)});
    cpu.core().daif = 0;
    cpu.core().os_lock = false;
    cpu.core().mdscr = Mdscr::kKde.kMask | mdscr;
  };
  debug(Mdscr::kSs.kMask);
  cpu.core().ss = true;
  cpu.run(kForEver, kForEver);
  EXPECT_EQ(exception_class(), kStep);
  EXPECT_EQ(cpu.core().elr, kCode + 4);

  debug(Mdscr::kMde.kMask);
  cpu.core().breakpoints[0] = {kCode + 4, 1 | 1 << 1 | 0xf << 5};
  cpu.run(kForEver, kForEver);
  EXPECT_EQ(exception_class(), kBreakpoint);
  EXPECT_EQ(cpu.core().elr, kCode + 4);

  debug(Mdscr::kMde.kMask);
  cpu.core().watchpoints[0] = {kData + 16, 1 | 1 << 1 | 1 << 3 | 0xff << 5};
  cpu.run(kForEver, kForEver);
  EXPECT_EQ(exception_class(), kWatchpoint);
  EXPECT_EQ(cpu.core().elr, kCode + 8);
  EXPECT_EQ(cpu.core().far, kData + 16);
}

}  // namespace
}  // namespace vpmu::machine::arm64
