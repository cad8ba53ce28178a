// SPDX-License-Identifier: MIT
//
// PV perf counts: on the modelled host perf, to the instruction.
#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Msr;
using silicon::Privilege;

using PvPerfCounting = PvPerfOnModelledPerf;

TEST_F(PvPerfCounting, EnablingWrmsrIsCountedAndDisablingOneIsNot) {
  select(0, kInstructions);
  wrmsr(msr(Msr::kGlobalCtrl), 1);
  steps(10);
  wrmsr(msr(Msr::kGlobalCtrl), 0);
  steps(5);
  EXPECT_EQ(count(0), 11u);
}

TEST_F(PvPerfCounting, ReadingIsExactUpToThePreviousInstruction) {
  select(2, kCycles);
  write(Msr::kGlobalCtrl, 1 << 2);
  for (std::uint64_t n = 1; n < 10; ++n) {
    step();
    EXPECT_EQ(count(2), n * kCyclesOfAnInstruction);
    EXPECT_EQ(pv->value(2), n * kCyclesOfAnInstruction);
  }
}

TEST_F(PvPerfCounting, PrivilegesAreToldApart) {
  pv::Evtsel user = kInstructions, kernel = kInstructions, neither = kInstructions;
  user.set(pv::Evtsel::kOs, 0);
  kernel.set(pv::Evtsel::kUsr, 0);
  neither.raw = user.raw & kernel.raw;
  select(0, user);
  select(1, kernel);
  select(2, neither);
  write(Msr::kGlobalCtrl, 7);
  step(Privilege::kUser);
  step(Privilege::kUser);
  step(Privilege::kKernel);
  EXPECT_EQ(count(0), 2u);
  EXPECT_EQ(count(1), 1u);
  EXPECT_EQ(count(2), 0u);
}

TEST_F(PvPerfCounting, OverflowIsOnExactlyTheRightInstructionAndInterrupts) {
  select(1, interrupting(kInstructions));
  set_count(1, kTurn - 100);
  write(Msr::kGlobalCtrl, 2);
  steps(99);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(delivered(), 0);
  step();
  EXPECT_EQ(status(), 2u);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(count(1), 0u);
}

TEST_F(PvPerfCounting, ReloadsWithWhatIsPastTheWrap) {
  constexpr std::uint64_t kPeriod = 7;  // cycles, of which an instruction has two
  select(0, interrupting(kCycles));
  write(0, BankMsr::kPeriod, kPeriod);
  set_count(0, kTurn - kPeriod);
  write(Msr::kGlobalCtrl, 1);
  std::uint64_t cycles = 0;
  for (int sample = 1; sample <= 1000; ++sample) {
    const auto due = static_cast<std::uint64_t>(sample) * kPeriod;
    while (cycles < due) {
      EXPECT_EQ(status(), 0u);
      step();
      cycles += kCyclesOfAnInstruction;
    }
    ASSERT_EQ(status(), 1u) << sample;
    ASSERT_EQ(count(0), kTurn - kPeriod + (cycles - due));
    host.now += PvPerfOnModelledPerf::kMs;  // not to be throttled
    unmask();
    write(Msr::kStatusReset, 1);
  }
  EXPECT_EQ(delivered(), 1000);
}

}  // namespace
}  // namespace vpmu::virt::x86
