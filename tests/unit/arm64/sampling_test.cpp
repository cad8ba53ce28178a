// SPDX-License-Identifier: MIT
//
// Operations that are sampled while code runs.
#include <gtest/gtest.h>

#include "unit/arm64/code.hpp"
#include "unit/arm64/cpu_fixture.hpp"

namespace vpmu::machine::arm64 {
namespace {

using silicon::RawEvent;
using silicon::arm64::SpeOperationType;
using Class = SpeOperationType::Class;

class ArmSampling : public testing::Test {
 protected:
  /// A loop of five at EL1: a load, a store, an addition, a conditional branch that is taken once
  /// in two, and the branch back.
  void start() {
    machine.start({code::ldr(0, 19), code::str(0, 19, 1), code::add(1, 1, 1), code::tbz(1, 0, 1),
                   code::b(-4)});
    machine.map();
  }
  void sample(std::uint64_t first, std::uint64_t period) {
    machine.samples[1] = true;
    machine.sample_at = first;
    machine.period = period;
  }

  TestMachine machine;
  Cpu& cpu = machine.cpu;
};

TEST_F(ArmSampling, TakesExactlyTheOperationsItIsToldTo) {
  start();
  sample(7, 13);
  cpu.run(10'000, kForEver);

  ASSERT_EQ(machine.operations.size(), (10'000U - 7) / 13 + 1);
  std::uint64_t at = 7;
  for (const auto& sample : machine.operations) {
    EXPECT_EQ(sample.at, at);
    EXPECT_EQ(sample.operation.pc.address, kCode + (at - 1) % 5 * 4);
    EXPECT_EQ(sample.operation.pc.level, 1);
    at += 13;
  }
}

TEST_F(ArmSampling, ChangesNothingThatIsCounted) {
  start();
  cpu.run(10'000, kForEver);
  TestMachine sampled;
  sampled.start(
      {code::ldr(0, 19), code::str(0, 19, 1), code::add(1, 1, 1), code::tbz(1, 0, 1), code::b(-4)});
  sampled.map();
  sampled.samples[1] = true;
  sampled.sample_at = sampled.period = 17;
  sampled.cpu.run(10'000, kForEver);

  EXPECT_GT(sampled.operations.size(), 500U);
  EXPECT_EQ(sampled.instructions(), machine.instructions());
  EXPECT_EQ(sampled.cpu.cycles(), cpu.cycles());
  EXPECT_EQ(sampled.x(1), machine.x(1));
  EXPECT_EQ(sampled.cpu.registers().pc(), cpu.registers().pc());
}

TEST_F(ArmSampling, SaysWhatTheOperationDid) {
  using namespace silicon::arm64;
  start();
  sample(1, 1);
  cpu.run(10, kForEver);

  ASSERT_EQ(machine.operations.size(), 10U);
  const auto& load = machine.operations[0].operation;
  EXPECT_EQ(load.type, (SpeOperationType{Class::kLoadStore, 0}));
  EXPECT_TRUE(load.loads);
  EXPECT_FALSE(load.stores);
  EXPECT_EQ(load.virtual_address, kData);
  EXPECT_EQ(load.physical_address, kData);
  EXPECT_EQ(load.events, kSpeRetired | kSpeL1dAccess | kSpeTlbAccess);
  EXPECT_EQ(load.source, SpeDataSource::kL1d);
  const auto& store = machine.operations[1].operation;
  EXPECT_TRUE(store.stores);
  EXPECT_EQ(store.virtual_address, kData + 8);
  EXPECT_EQ(store.source, std::nullopt);
  EXPECT_FALSE(machine.operations[2].operation.has_address);
  // X1 is 1, then 2.
  const auto& not_taken = machine.operations[3].operation;
  EXPECT_EQ(not_taken.events, kSpeRetired | kSpeNotTaken);
  EXPECT_EQ(not_taken.target, std::nullopt);
  const auto& back = machine.operations[4].operation;
  EXPECT_EQ(back.type, (SpeOperationType{Class::kBranch, 0}));
  EXPECT_EQ(back.target, (SpeOperation::Place{kCode, 1}));
}

TEST_F(ArmSampling, KnowsWhatTheMemoryModelKnows) {
  using namespace silicon::arm64;
  machine.start({code::ldr(0, 19), code::ldr(1, 19), code::add(19, 19, 64), code::b(-3)});
  machine.map();
  machine.totals.demand(RawEvent::kL1dMisses);
  sample(1, 1);
  cpu.run(8, kForEver);

  const auto& miss = machine.operations[0].operation;
  EXPECT_EQ(miss.events, kSpeRetired | kSpeL1dAccess | kSpeTlbAccess | kSpeL1dRefill | kSpeTlbWalk |
                             kSpeLlcAccess | kSpeLlcMiss);
  EXPECT_EQ(miss.source, SpeDataSource::kDram);
  EXPECT_GT(miss.translation_latency, 0U);
  const auto& hit = machine.operations[1].operation;
  EXPECT_EQ(hit.events, kSpeRetired | kSpeL1dAccess | kSpeTlbAccess);
  EXPECT_LT(hit.total_latency, miss.total_latency);
  // The same page, another line.
  EXPECT_EQ(machine.operations[4].operation.events & kSpeTlbWalk, 0U);
  EXPECT_NE(machine.operations[4].operation.events & kSpeL1dRefill, 0U);
}

TEST_F(ArmSampling, IsMisalignedWhereItCrossesALine) {
  using namespace silicon::arm64;
  // LDUR X0, [X19, #57]; LDUR X0, [X19, #3]; LD1 {V0.2D-V2.2D}, [X19]; the same 32 bytes further
  machine.start({0xf843'9260, 0xf840'3260, 0x4c40'6e60, code::add(19, 19, 32), 0x4c40'6e60});
  machine.map();
  sample(1, 1);
  cpu.run(5, kForEver);

  ASSERT_EQ(machine.operations.size(), 5U);
  const auto is_misaligned = [this](std::size_t n) {
    return (machine.operations[n].operation.events & kSpeMisaligned) != 0;
  };
  EXPECT_TRUE(is_misaligned(0));
  EXPECT_FALSE(is_misaligned(1));
  EXPECT_FALSE(is_misaligned(2));
  EXPECT_TRUE(is_misaligned(4));
}

TEST_F(ArmSampling, WaitsForTheLevelThatIsSampled) {
  // An exception handler at EL1 that returns, and code at EL0 of two instructions.
  machine.start({code::svc(0), code::b(-1)});
  machine.load(kVectors + 0x400, {code::add(5, 5, 1), code::kEret});
  cpu.core().el = ExceptionLevel::kEl0;
  cpu.state_changed();
  machine.samples[0] = true;
  machine.sample_at = machine.period = 3;
  cpu.run(1'000, kForEver);

  ASSERT_GT(machine.operations.size(), 50U);
  for (const auto& sample : machine.operations) {
    EXPECT_EQ(sample.at % 3, 0U);
    EXPECT_EQ(sample.operation.pc.level, 0);
  }
}

TEST_F(ArmSampling, FloatingPointGoesOnAroundASample) {
  constexpr std::uint32_t kX1ToD0 = 0x9e62'0020 /* scvtf */,
                          kSum = 0x1e60'2842 /* fadd d2, d2, d0 */;
  constexpr std::uint32_t kD2ToX3 = 0x9e78'0043 /* fcvtzs */;
  machine.start({code::add(1, 1, 1), kX1ToD0, code::add(4, 4, 1), kSum, kD2ToX3, code::b(-5)});
  machine.map();
  cpu.core().cpacr = 3U << 20;
  cpu.state_changed();
  sample(1, 7);
  constexpr std::uint64_t kRounds = 700;
  cpu.run(6 * kRounds, kForEver);

  EXPECT_EQ(machine.operations.size(), (6 * kRounds - 1) / 7 + 1);
  EXPECT_EQ(machine.x(3), kRounds * (kRounds + 1) / 2);
}

TEST_F(ArmSampling, ExclusiveAccessesSucceedAroundASample) {
  // W2 becomes 1 if the store fails; X3 counts what X0 was incremented to in memory.
  machine.start({code::ldxr(0, 20), code::add(0, 0, 1), code::stxr(2, 0, 20), code::add(3, 3, 1),
                 code::add(4, 4, 1), code::b(-5)});
  machine.map();
  cpu.registers().set_x(20, kData);
  sample(1, 7);
  constexpr std::uint64_t kRounds = 500;
  cpu.run(6 * kRounds, kForEver);

  EXPECT_EQ(machine.operations.size(), (6 * kRounds - 1) / 7 + 1);
  EXPECT_EQ(machine.x(2), 0U);
  EXPECT_EQ(machine.x(0), kRounds);
}

TEST_F(ArmSampling, CodeThatIsOverwrittenIsNotRunFromBefore) {
  // The loop's addition is replaced by one of 2 when X1 has come to 100.
  machine.start({code::add(1, 1, 1), code::add(2, 2, 1), code::b(-2)});
  sample(1, 5);
  cpu.run(300, kForEver);
  ASSERT_EQ(machine.x(1), 100U);
  machine.load(kCode, {code::add(1, 1, 2)});
  cpu.state_changed();
  cpu.run(300, kForEver);
  EXPECT_EQ(machine.x(1), 300U);
}

TEST_F(ArmSampling, WhatFaultsIsNotSampled) {
  machine.start({code::ldr(0, 20), code::b(-1)});
  machine.map();
  machine.load(kVectors + 0x200, {code::hvc(0)});
  cpu.registers().set_x(20, std::uint64_t{0x30} << 32);
  sample(1, 1);
  cpu.run(1'000, kForEver);

  ASSERT_EQ(machine.operations.size(), 1U);
  EXPECT_EQ(machine.operations[0].operation.pc.address, kVectors + 0x200);
}

}  // namespace
}  // namespace vpmu::machine::arm64
