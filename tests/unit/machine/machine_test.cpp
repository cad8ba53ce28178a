// SPDX-License-Identifier: MIT
#include "machine/machine.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using machine::Outcome;
using Reason = machine::Outcome::Reason;

TEST_F(MachineTest, DebugExitEndsTheRunWithItsValue) {
  const Outcome outcome = run(debug_exit(38) + forever());
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 38u);
  EXPECT_EQ(machine->instructions(), 2u) << "nothing behind the OUT runs";
}

TEST_F(MachineTest, PowerOffAndResetEndTheRun) {
  // Port 0x604 gets SLP_EN; port 0x64 gets the reset command.
  const Code power_off = mov_edx(0x604) + mov_eax(0x2000) + Code{0x66, 0xef} + forever();
  EXPECT_EQ(run(power_off).reason, Reason::kPowerOff);
  const Code reset = mov_eax(0xfe) + Code{0xe6, 0x64} + forever();
  EXPECT_EQ(run(reset).reason, Reason::kReset);
}

TEST_F(MachineTest, TripleFaultIsACrash) {
  const Outcome outcome = run({0x0f, 0x0b});  // #UD without an IDT
  EXPECT_EQ(outcome.reason, Reason::kCrash);
  EXPECT_EQ(outcome.value, 0u);
}

TEST_F(MachineTest, InstructionLimitIsExact) {
  for (const std::uint64_t limit : {1u, 2u, 9'999u, 10'000u, 10'001u, 123'457u}) {
    const Outcome outcome = run(forever(), {.instructions = limit});
    EXPECT_EQ(outcome.reason, Reason::kInstructions);
    EXPECT_EQ(machine->instructions(), limit);
  }
}

TEST_F(MachineTest, InstructionLimitCountsAllVcpusTogether) {
  config.vcpus = 2;
  run(forever(), {.instructions = 12'345});
  EXPECT_EQ(machine->instructions(), 12'345u);
  EXPECT_EQ(machine->vcpus()[1]->instructions(), 0u) << "it waits for its start-up IPI";
}

TEST_F(MachineTest, EndlessFaultsAreChargedAgainstTheLimit) {
  // An IDT of all-present gates that lead to an address where nothing can be fetched: faults until
  // the stack is used up, or for ever, and retires nothing.
  Code code = Code{0x0f, 0x01, 0x1c, 0x25} + little_endian(kEntry + 0x100, 4);  // LIDT [..]
  code = code + Code{0x0f, 0x0b};
  code.resize(0x100);
  code = code + little_endian(0xfff, 2) + little_endian(kEntry + 0x1000, 8);
  code.resize(0x1000);
  for (unsigned vector = 0; vector < 32; ++vector) {
    // Present interrupt gate to offset 0xd0000000 (not RAM: the fetch faults) in the 64-bit
    // segment.
    const std::uint64_t low =
        std::uint64_t{0xd000} << 48 | std::uint64_t{0x8e00} << 32 | 0x18 << 16;
    code = code + little_endian(low, 8) + little_endian(0, 8);
  }
  const Outcome outcome = run(code, {.instructions = 1'000'000});
  EXPECT_TRUE(outcome.reason == Reason::kInstructions || outcome.reason == Reason::kCrash);
}

TEST_F(MachineTest, HaltWithNothingToComeEndsTheRun) {
  EXPECT_EQ(run(halt()).reason, Reason::kHalted);
}

TEST_F(MachineTest, HaltWithTimersThatWakeNobodyEndsTheRun) {
  // The 8254's channel 0 in mode 2, interrupts off.
  const Code code = mov_eax(0x34) + Code{0xe6, 0x43} + mov_eax(2) + Code{0xe6, 0x40} + mov_eax(0) +
                    Code{0xe6, 0x40} + halt();
  EXPECT_EQ(run(code).reason, Reason::kHalted);
}

TEST_F(MachineTest, ConsoleGetsWhatTheGuestPrints) {
  run(print('o') + print('k') + debug_exit(0));
  EXPECT_EQ(console.output, "ok");
}

TEST_F(MachineTest, GuestGetsWhatIsTyped) {
  console.input = "Z";
  // Waits for LSR bit 0, reads the byte, exits with it.
  const Code code = mov_edx(0x3fd) + Code{0xec, 0xa8, 0x01, 0x74, 0xfb} + mov_edx(0x3f8) +
                    Code{0xec, 0x0f, 0xb6, 0xc0} + exit_with_eax();
  const Outcome outcome = run(code, {.instructions = 100'000'000});
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 'Z');
}

TEST_F(MachineTest, StopEndsARunThatIsGoingOn) {
  load(forever());
  machine->stop();
  EXPECT_EQ(machine->run({}).reason, Reason::kStopped);
}

TEST_F(MachineTest, TheSameRunTwiceIsTheSame) {
  const Code code = print('x') + forever();
  run(code, {.instructions = 54'321});
  const std::uint64_t cycles = machine->now();
  run(code, {.instructions = 54'321});
  EXPECT_EQ(machine->now(), cycles);
}

TEST_F(MachineTest, QuantumDoesNotChangeWhatOneVcpuDoes) {
  config.quantum = 7;
  run(forever(), {.instructions = 10'000});
  const std::uint64_t cycles = machine->now();
  config.quantum = 5'000;
  run(forever(), {.instructions = 10'000});
  EXPECT_EQ(machine->now(), cycles);
}

TEST_F(MachineTest, PausesAreExactAndChangeNothing) {
  // Prints as long as a counter in EBX has not wrapped: exits, time and turns in every round.
  const Code code = print('x') + Code{0xfe, 0xc3, 0x75, 0xf1} + debug_exit(5);
  config.quantum = 100;
  ASSERT_EQ(run(code).reason, Reason::kDebugExit);
  const std::string output = std::exchange(console.output, {});
  const std::uint64_t instructions = machine->instructions();
  const auto unpaused = machine->save();
  for (const std::uint64_t step : {1u, 7u, 99u, 100u, 101u}) {
    load(code);
    Outcome outcome{Reason::kPaused, 0};
    for (std::uint64_t at = 0; outcome.reason == Reason::kPaused; at += step) {
      outcome = machine->run({.pause_at = at});
      if (outcome.reason == Reason::kPaused) {
        ASSERT_EQ(machine->instructions(), at);
      }
    }
    EXPECT_EQ(outcome.reason, Reason::kDebugExit);
    EXPECT_EQ(machine->instructions(), instructions);
    EXPECT_EQ(std::exchange(console.output, {}), output);
    EXPECT_TRUE(machine->save() == unpaused) << "a pause every " << step;
  }
}

TEST_F(MachineTest, BadConfigurationsAreErrors) {
  const auto error = [this] {
    const auto created = machine::Machine::create(config, console);
    return created ? std::string{} : created.error().message;
  };
  config.vcpus = 0;
  EXPECT_NE(error().find("--smp"), std::string::npos);
  config.vcpus = 65;
  EXPECT_NE(error().find("--smp"), std::string::npos);
  config.vcpus = 1;
  config.quantum = 0;
  EXPECT_NE(error().find("--quantum"), std::string::npos);
  config.quantum = 1;
  config.memory_bytes = 4096;
  EXPECT_NE(error().find("1 MiB"), std::string::npos);
}

TEST_F(MachineTest, EveryReasonHasAName) {
  for (int i = 0; i <= static_cast<int>(Reason::kPaused); ++i) {
    EXPECT_STRNE(machine::name(static_cast<Reason>(i)), "?");
  }
}

}  // namespace
}  // namespace vpmu::test
