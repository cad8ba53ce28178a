// SPDX-License-Identifier: MIT
//
// Every register of PMUv3, bit by bit.
#include <string>

#include "unit/virt_arm64/pmu_fixture.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::arm64::system_register;
using silicon::arm64::SystemRegister;

using Arm64PmuRegisters = PmuFixture;

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kSixAndCycles = 0x8000'003f;

struct Encoding {
  const char* name;
  SystemRegister which;
  unsigned op1, crn, crm, op2;
};
// Arm ARM D19.5.
constexpr Encoding kEncodings[] = {
    {"PMINTENSET_EL1", reg::PMINTENSET_EL1, 0, 9, 14, 1},
    {"PMINTENCLR_EL1", reg::PMINTENCLR_EL1, 0, 9, 14, 2},
    {"PMMIR_EL1", reg::PMMIR_EL1, 0, 9, 14, 6},
    {"PMCR_EL0", reg::PMCR_EL0, 3, 9, 12, 0},
    {"PMCNTENSET_EL0", reg::PMCNTENSET_EL0, 3, 9, 12, 1},
    {"PMCNTENCLR_EL0", reg::PMCNTENCLR_EL0, 3, 9, 12, 2},
    {"PMOVSCLR_EL0", reg::PMOVSCLR_EL0, 3, 9, 12, 3},
    {"PMSWINC_EL0", reg::PMSWINC_EL0, 3, 9, 12, 4},
    {"PMSELR_EL0", reg::PMSELR_EL0, 3, 9, 12, 5},
    {"PMCEID0_EL0", reg::PMCEID0_EL0, 3, 9, 12, 6},
    {"PMCEID1_EL0", reg::PMCEID1_EL0, 3, 9, 12, 7},
    {"PMCCNTR_EL0", reg::PMCCNTR_EL0, 3, 9, 13, 0},
    {"PMXEVTYPER_EL0", reg::PMXEVTYPER_EL0, 3, 9, 13, 1},
    {"PMXEVCNTR_EL0", reg::PMXEVCNTR_EL0, 3, 9, 13, 2},
    {"PMUSERENR_EL0", reg::PMUSERENR_EL0, 3, 9, 14, 0},
    {"PMOVSSET_EL0", reg::PMOVSSET_EL0, 3, 9, 14, 3},
    {"PMEVCNTR0_EL0", reg::PMEVCNTR_EL0(0), 3, 14, 8, 0},
    {"PMEVCNTR9_EL0", reg::PMEVCNTR_EL0(9), 3, 14, 9, 1},
    {"PMEVCNTR30_EL0", reg::PMEVCNTR_EL0(30), 3, 14, 11, 6},
    {"PMEVTYPER0_EL0", reg::PMEVTYPER_EL0(0), 3, 14, 12, 0},
    {"PMEVTYPER30_EL0", reg::PMEVTYPER_EL0(30), 3, 14, 15, 6},
    {"PMCCFILTR_EL0", reg::PMCCFILTR_EL0, 3, 14, 15, 7},
};

TEST_F(Arm64PmuRegisters, EncodingsAreTheManuals) {
  for (const Encoding& each : kEncodings) {
    EXPECT_EQ(each.which, system_register(3, each.op1, each.crn, each.crm, each.op2)) << each.name;
  }
}

struct Bits {
  const char* name;
  PmuConfig config;
  SystemRegister which;
  std::uint64_t written, read;
};
constexpr std::uint64_t kN = 6 << 11;
constexpr Bits kBits[] = {
    // P and C read as 0; there is no event bus to export to; LC is fixed without AArch32.
    {"PMCR 8.0", kArmv8_0, reg::PMCR_EL0, kAll, kN | 0x61},
    {"PMCR 8.1", kArmv8_1, reg::PMCR_EL0, kAll, kN | 0x61},
    {"PMCR 8.4", kArmv8_4, reg::PMCR_EL0, kAll, kN | 0x61},
    {"PMCR 8.5", kArmv8_5, reg::PMCR_EL0, kAll, kN | 0xe1},
    {"PMCR AArch32", with_aarch32(kArmv8_1), reg::PMCR_EL0, kAll, kN | 0x69},
    {"PMCR AArch32 0", with_aarch32(kArmv8_1), reg::PMCR_EL0, 0, kN},
    {"PMCR 0", kArmv8_5, reg::PMCR_EL0, 0, kN | 0x40},
    {"PMCNTENSET", kArmv8_1, reg::PMCNTENSET_EL0, kAll, kSixAndCycles},
    {"PMOVSSET", kArmv8_1, reg::PMOVSSET_EL0, kAll, kSixAndCycles},
    {"PMINTENSET", kArmv8_1, reg::PMINTENSET_EL1, kAll, kSixAndCycles},
    {"PMSELR", kArmv8_1, reg::PMSELR_EL0, kAll, 0x1f},
    {"PMUSERENR", kArmv8_1, reg::PMUSERENR_EL0, kAll, 0xf},
    {"PMCCNTR", kArmv8_0, reg::PMCCNTR_EL0, kAll, kAll},
    {"PMCCFILTR", kArmv8_1, reg::PMCCFILTR_EL0, kAll, 0xc000'0000},
    {"PMEVTYPER 8.0", kArmv8_0, reg::PMEVTYPER_EL0(2), kAll, 0xc000'03ff},
    {"PMEVTYPER 8.1", kArmv8_1, reg::PMEVTYPER_EL0(2), kAll, 0xc000'ffff},
    {"PMEVTYPER 8.5", kArmv8_5, reg::PMEVTYPER_EL0(2), kAll, 0xc000'ffff},
    {"PMEVCNTR 8.0", kArmv8_0, reg::PMEVCNTR_EL0(5), kAll, 0xffff'ffff},
    {"PMEVCNTR 8.4", kArmv8_4, reg::PMEVCNTR_EL0(5), kAll, 0xffff'ffff},
    {"PMEVCNTR 8.5", kArmv8_5, reg::PMEVCNTR_EL0(5), kAll, kAll},
};

TEST_F(Arm64PmuRegisters, KeepWhatCanBeWrittenAndDropTheRest) {
  for (const Bits& each : kBits) {
    make(each.config);
    write(each.which, each.written);
    EXPECT_EQ(read(each.which), each.read) << each.name;
  }
}

TEST_F(Arm64PmuRegisters, AreZeroAfterResetButForWhatIsFixed) {
  make(kArmv8_5);
  for (const Encoding& each : kEncodings) {
    if (each.which == reg::PMCR_EL0 || each.which == reg::PMSWINC_EL0 ||
        each.which == reg::PMCEID0_EL0)
      continue;
    const Access access = try_read(each.which);
    EXPECT_EQ(access.is_done() ? access.value() : 0, 0u) << each.name;
  }
  EXPECT_EQ(read(reg::PMCR_EL0), kN | kLc);
}

struct SetAndClear {
  const char* name;
  SystemRegister set, clear;
};

TEST_F(Arm64PmuRegisters, SetAndClearAreTwoSidesOfOneRegister) {
  for (const SetAndClear each :
       {SetAndClear{"PMCNTEN", reg::PMCNTENSET_EL0, reg::PMCNTENCLR_EL0},
        SetAndClear{"PMOVS", reg::PMOVSSET_EL0, reg::PMOVSCLR_EL0},
        SetAndClear{"PMINTEN", reg::PMINTENSET_EL1, reg::PMINTENCLR_EL1}}) {
    write(each.set, 0x8000'0005);
    write(each.set, 0x2);
    EXPECT_EQ(read(each.clear), 0x8000'0007u) << each.name;
    write(each.clear, 0x8000'0001);
    EXPECT_EQ(read(each.set), 0x6u) << each.name;
    write(each.clear, 0);
    EXPECT_EQ(read(each.clear), 0x6u) << each.name;
  }
}

TEST_F(Arm64PmuRegisters, CounterBitsFollowTheNumberOfCounters) {
  for (const std::uint8_t counters : {0, 1, 6, 31}) {
    make({.version = 4, .event_counters = counters});
    write(reg::PMCNTENSET_EL0, kAll);
    EXPECT_EQ(read(reg::PMCNTENSET_EL0), kCycles | ((std::uint64_t{1} << counters) - 1));
    EXPECT_EQ(read(reg::PMCR_EL0) >> 11 & 0x1f, counters);
  }
}

TEST_F(Arm64PmuRegisters, CountersBeyondThoseThatThereAreAreUndefined) {
  for (unsigned n = 0; n < 31; ++n) {
    EXPECT_EQ(try_read(reg::PMEVCNTR_EL0(n)).is_done(), n < 6) << n;
    EXPECT_EQ(try_read(reg::PMEVTYPER_EL0(n)).is_done(), n < 6) << n;
    write(reg::PMSELR_EL0, n);
    EXPECT_EQ(try_read(reg::PMXEVCNTR_EL0).is_done(), n < 6) << n;
    EXPECT_EQ(try_write(reg::PMXEVTYPER_EL0, 0).is_done(), n < 6) << n;
    EXPECT_EQ(try_write(reg::PMEVCNTR_EL0(n), 0) == Access::fault(), n >= 6) << n;
  }
  EXPECT_EQ(try_read(system_register(3, 3, 14, 11, 7)), Access::fault()) << "PMEVCNTR31_EL0";
}

TEST_F(Arm64PmuRegisters, SelectedCounterIsTheSameAsTheNumberedOne) {
  write(reg::PMSELR_EL0, 3);
  write(reg::PMXEVTYPER_EL0, 0x4000'0011);
  write(reg::PMXEVCNTR_EL0, 77);
  EXPECT_EQ(read(reg::PMEVTYPER_EL0(3)), 0x4000'0011u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(3)), 77u);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(2)), 0u);
  write(reg::PMSELR_EL0, 31);
  write(reg::PMXEVTYPER_EL0, kNotEl0 | 0x8);
  EXPECT_EQ(read(reg::PMCCFILTR_EL0), kNotEl0) << "31 is the cycle counter, which has no event";
  write(reg::PMXEVCNTR_EL0, 99);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 99u);
}

TEST_F(Arm64PmuRegisters, ReadOnlyAndWriteOnlyOnesAreUndefinedTheOtherWay) {
  make(kArmv8_4);
  EXPECT_EQ(try_write(reg::PMCEID0_EL0, 0), Access::fault());
  EXPECT_EQ(try_write(reg::PMCEID1_EL0, 0), Access::fault());
  EXPECT_EQ(try_write(reg::PMMIR_EL1, 0), Access::fault());
  EXPECT_EQ(try_read(reg::PMSWINC_EL0), Access::fault());
}

TEST_F(Arm64PmuRegisters, MachineIdentificationIsThereSinceArmv8_4AndSaysTheSlots) {
  EXPECT_EQ(try_read(reg::PMMIR_EL1), Access::fault());
  PmuConfig config = kArmv8_4;
  config.slots = 8;
  make(config);
  EXPECT_EQ(read(reg::PMMIR_EL1), 8u);
}

TEST_F(Arm64PmuRegisters, OthersAreNotMine) {
  for (const SystemRegister which :
       {system_register(3, 0, 1, 0, 0), system_register(3, 3, 14, 0, 1),
        system_register(3, 3, 9, 14, 1), system_register(3, 0, 9, 13, 0),
        system_register(2, 3, 14, 8, 0)}) {
    EXPECT_EQ(try_read(which), Access::not_mine());
    EXPECT_EQ(try_write(which, 0), Access::not_mine());
  }
}

TEST_F(Arm64PmuRegisters, WithoutPmuAllAreUndefined) {
  make({});
  for (const Encoding& each : kEncodings) {
    EXPECT_EQ(try_read(each.which), Access::fault()) << each.name;
    EXPECT_EQ(try_write(each.which, 0), Access::fault()) << each.name;
  }
}

TEST_F(Arm64PmuRegisters, CommonEventsAreTheConfigurationsAndThePmusOwn) {
  constexpr std::uint64_t kOwn = 1 | 1 << 0x1e;
  PmuConfig config = kArmv8_1;
  config.common_events = {0x1'0002'0100, 0x2'0000'0006};
  make(config);
  EXPECT_EQ(read(reg::PMCEID0_EL0), config.common_events[0] | kOwn);
  EXPECT_EQ(read(reg::PMCEID1_EL0), config.common_events[1]);
  config.version = silicon::arm64::kPmuV3;
  make(config);
  EXPECT_EQ(read(reg::PMCEID0_EL0), 0x0002'0100 | kOwn) << "no upper halves in Armv8.0";
  EXPECT_EQ(read(reg::PMCEID1_EL0), 6u);
  config.version = silicon::arm64::kPmuV3p5;
  make(config);
  EXPECT_EQ(read(reg::PMCEID0_EL0), config.common_events[0] | 1) << "long counters do not chain";
  config = {.version = 4, .event_counters = 1};
  make(config);
  EXPECT_EQ(read(reg::PMCEID0_EL0), 1u) << "nothing to chain to";
}

TEST_F(Arm64PmuRegisters, ControlResetsEventCountersAndTheCycleCounterApart) {
  const auto set_all = [this] {
    for (unsigned n = 0; n < 6; ++n) write(reg::PMEVCNTR_EL0(n), 100 + n);
    write(reg::PMCCNTR_EL0, 200);
    write(reg::PMOVSSET_EL0, 0x8000'0001);
  };
  set_all();
  write(reg::PMCR_EL0, kP);
  for (unsigned n = 0; n < 6; ++n) EXPECT_EQ(read(reg::PMEVCNTR_EL0(n)), 0u) << n;
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 200u);
  set_all();
  write(reg::PMCR_EL0, kC);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(4)), 104u);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 0u);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 0x8000'0001u) << "overflow flags stay";
}

TEST_F(Arm64PmuRegisters, HostWritesWholeRegistersAndResetsNothing) {
  write(reg::PMCCNTR_EL0, 200);
  write(reg::PMCNTENSET_EL0, 0x3);
  host_write(reg::PMCR_EL0, kE | kP | kC);
  EXPECT_EQ(read(reg::PMCCNTR_EL0), 200u);
  EXPECT_EQ(read(reg::PMCR_EL0) & kE, kE);
  host_write(reg::PMCNTENSET_EL0, 0x4);
  EXPECT_EQ(read(reg::PMCNTENSET_EL0), 0x4u);
  host_write(reg::PMCNTENCLR_EL0, 0x5);
  EXPECT_EQ(read(reg::PMCNTENSET_EL0), 0x5u);
  host_write(reg::PMOVSCLR_EL0, 0x3);
  host_write(reg::PMINTENCLR_EL1, kAll);
  EXPECT_EQ(read(reg::PMOVSSET_EL0), 0x3u);
  EXPECT_EQ(read(reg::PMINTENSET_EL1), kSixAndCycles);
  host_write(reg::PMEVCNTR_EL0(1), 5);
  host_write(reg::PMUSERENR_EL0, 1);
  EXPECT_EQ(read(reg::PMEVCNTR_EL0(1)), 5u);
  EXPECT_EQ(read(reg::PMUSERENR_EL0), 1u);
}

TEST_F(Arm64PmuRegisters, ResetForgetsEverything) {
  start(0, kInstRetired);
  write(reg::PMINTENSET_EL1, 1);
  write(reg::PMOVSSET_EL0, 1);
  write(reg::PMUSERENR_EL0, 0xf);
  ASSERT_TRUE(sink.line);
  pmu->reset();
  EXPECT_FALSE(sink.line);
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_EQ(read(reg::PMCR_EL0), kN | kLc);
  EXPECT_EQ(read(reg::PMCNTENSET_EL0), 0u);
  EXPECT_EQ(read(reg::PMUSERENR_EL0), 0u);
  EXPECT_EQ(read(reg::PMEVTYPER_EL0(0)), 0u);
}

}  // namespace
}  // namespace vpmu::virt::arm64
