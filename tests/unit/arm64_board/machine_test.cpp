// SPDX-License-Identifier: MIT
#include "machine/arm64_board/machine.hpp"

#include "unit/arm64_board/machine_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using Reason = Outcome::Reason;

class MachineTest : public MachineFixture {};

TEST_F(MachineTest, ExitDeviceEndsTheRunWithItsValueBehindTheStore) {
  Code code;
  set(code, 1, 5);
  exit_with(code, 1);
  code.push_back(code::kBranchToItself);
  const auto machine = loaded(code);
  const Outcome outcome = machine->run({});
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 5u);
  EXPECT_EQ(machine->instructions(), code.size() - 1);
  EXPECT_EQ(machine->vcpus()[0]->exits().count(virt::ExitReason::kMmio), 1u);
}

TEST_F(MachineTest, FirstVcpuStartsWithTheDeviceTreeAndTheOthersAreOff) {
  const auto machine = loaded({code::kNop, code::kBranchToItself}, config(2));
  EXPECT_EQ(machine->run({.instructions = 1}).reason, Reason::kInstructions);
  const Cpu& cpu = machine->vcpus()[0]->cpu();
  EXPECT_EQ(cpu.registers().x(0), machine->start_state().device_tree);
  EXPECT_EQ(cpu.registers().x(1), 0u);
  EXPECT_EQ(cpu.core().el, ExceptionLevel::kEl1);
  EXPECT_EQ(cpu.core().daif, kMaskAll);
  EXPECT_EQ(cpu.registers().pc(), kBase + 4);
  EXPECT_FALSE(machine->vcpus()[1]->cpu().powered());
}

TEST_F(MachineTest, BytesGoFromTheSerialPortToTheConsole) {
  Code code;
  set(code, 2, Pl011::kAddress);
  for (const char letter : {'o', 'k'}) {
    set(code, 1, static_cast<std::uint64_t>(letter));
    code.push_back(code::str_word(1, 2));
  }
  exit_with(code, 1);
  EXPECT_EQ(loaded(code)->run({}).reason, Reason::kDebugExit);
  EXPECT_EQ(console.text, "ok");
}

TEST_F(MachineTest, PsciTurnsTheMachineOffAndResetsIt) {
  EXPECT_EQ(loaded(psci(Psci::kSystemOff))->run({}).reason, Reason::kPowerOff);
  EXPECT_EQ(loaded(psci(Psci::kSystemReset))->run({}).reason, Reason::kReset);
}

TEST_F(MachineTest, SecondVcpuStartsWhereAndWithWhatPsciSays) {
  constexpr std::uint64_t kOther = 32;
  Code code;
  set(code, 1, 1);
  set(code, 2, kBase + 4 * kOther);
  set(code, 3, 77);
  set(code, 0, Psci::kCpuOn64);
  code.push_back(kHvc);
  code.push_back(code::kBranchToItself);
  code.resize(kOther, code::kNop);
  exit_with(code, 0);
  const auto machine = loaded(code, config(2));
  const Outcome outcome = machine->run({.instructions = 10'000});
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 77u);
}

TEST_F(MachineTest, VcpuThatTurnsItselfOffLeavesNobodyToWake) {
  EXPECT_EQ(loaded(psci(Psci::kCpuOff))->run({}).reason, Reason::kHalted);
}

TEST_F(MachineTest, CallsWithAnImmediateAreNobodys) {
  Code code = psci(Psci::kSystemOff);
  code.back() |= 1U << 5;
  exit_with(code, 0);
  const Outcome outcome = loaded(code)->run({});
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(static_cast<std::int32_t>(outcome.value), Psci::kNotSupported);
}

TEST_F(MachineTest, WaitingForNobodyIsHalted) {
  const auto machine = loaded({code::kWfi});
  EXPECT_EQ(machine->run({}).reason, Reason::kHalted);
  EXPECT_EQ(machine->vcpus()[0]->exits().count(virt::ExitReason::kWait), 1u);
}

TEST_F(MachineTest, SemihostingExitGivesItsSubcode) {
  constexpr std::uint64_t kBlock = kBase + 0x1000;
  Code code;
  set(code, 0, Semihosting::kExit);
  set(code, 1, kBlock);
  code.push_back(kHltSemihosting);
  const auto machine = loaded(code);
  const std::uint64_t block[] = {Semihosting::kApplicationExit, 9};
  std::memcpy(machine->board().memory.host(kBlock, sizeof block), block, sizeof block);
  const Outcome outcome = machine->run({});
  EXPECT_EQ(outcome.reason, Reason::kDebugExit);
  EXPECT_EQ(outcome.value, 9u);
}

TEST_F(MachineTest, WhatNobodyAnswersReadsAsZero) {
  Code code;
  set(code, 1, 0x0a00'0000);
  set(code, 0, ~std::uint64_t{0});
  code.push_back(code::ldr(0, 1));
  exit_with(code, 0);
  EXPECT_EQ(loaded(code)->run({}).value, 0u);
}

TEST_F(MachineTest, VectorThatRaisesItsOwnExceptionIsACrash) {
  const auto machine = loaded({code::kUdf});  // the vectors are at 0, where nothing is
  const Outcome outcome = machine->run({});
  EXPECT_EQ(outcome.reason, Reason::kCrash);
  EXPECT_EQ(outcome.value, 0u);
  EXPECT_EQ(machine->instructions(), 0u);
}

TEST_F(MachineTest, ShapesThatThereAreNotAreRefused) {
  auto many = config(9);
  EXPECT_NE(Machine::create(many, console).error().message.find("give 1 to 8 with --smp"),
            std::string::npos);
  auto none = config();
  none.quantum = 0;
  EXPECT_FALSE(Machine::create(none, console).has_value());
  auto pmu = config();
  pmu.pmu = virt::arm64::PmuConfig{.version = 99};
  EXPECT_NE(Machine::create(pmu, console).error().message.find("--pmu"), std::string::npos);
}

TEST_F(MachineTest, HostOfAnotherModelIsForGuestsWithoutAPmu) {
  MachineConfig on_another = config();
  on_another.host_model = silicon::arm64::find_cpu_model("cortex-a72");
  EXPECT_EQ(Machine::create(on_another, console).error().message,
            "a guest of neoverse-n1 with a PMU cannot run on a host of cortex-a72: give --pmu off, "
            "and count from outside");
  on_another.pmu = virt::arm64::PmuConfig{};
  const auto machine = create(on_another);
  EXPECT_EQ(machine->facts().cpu_model, "neoverse-n1");
  EXPECT_EQ(machine->facts().host_cpu_model, "cortex-a72");
  EXPECT_EQ(machine->host_perf().model().name(), "cortex-a72");
}

TEST_F(MachineTest, FactsAreThoseOfTheModel) {
  const auto machine = create(config(3));
  const GuestFacts facts = machine->facts();
  EXPECT_EQ(facts.architecture, Architecture::kArm64);
  EXPECT_EQ(facts.cpu_model, "neoverse-n1");
  EXPECT_EQ(facts.hz, machine->config().model->hz);
  EXPECT_EQ(facts.vcpus, 3u);
}

}  // namespace
}  // namespace vpmu::machine::arm64
