// SPDX-License-Identifier: MIT
#include "machine/devices/psci.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "fakes.hpp"

namespace vpmu::machine {
namespace {

using PowerState = PowerControl::PowerState;
constexpr std::uint64_t kRam = 0x4000'0000;

class FakePower final : public PowerControl {
 public:
  [[nodiscard]] unsigned vcpus() const override { return static_cast<unsigned>(states.size()); }
  [[nodiscard]] PowerState power_state(unsigned vcpu) const override { return states.at(vcpu); }
  [[nodiscard]] bool is_entry(std::uint64_t address) const override { return address >= kRam; }
  void power_on(unsigned vcpu, std::uint64_t entry, std::uint64_t context) override {
    states.at(vcpu) = PowerState::kOnPending;
    started.push_back({vcpu, entry, context});
  }
  void power_off(unsigned vcpu) override { states.at(vcpu) = PowerState::kOff; }
  void wait_for_interrupt(unsigned vcpu) override { waiting.push_back(vcpu); }

  struct Start {
    unsigned vcpu;
    std::uint64_t entry, context;
    friend bool operator==(const Start&, const Start&) = default;
  };
  std::vector<PowerState> states{PowerState::kOn, PowerState::kOff, PowerState::kOff};
  std::vector<Start> started;
  std::vector<unsigned> waiting;
};

class PsciTest : public testing::Test {
 protected:
  std::int64_t call(std::uint64_t function, std::uint64_t x1 = 0, std::uint64_t x2 = 0,
                    std::uint64_t x3 = 0) {
    return static_cast<std::int64_t>(psci.call(0, function, {x1, x2, x3}));
  }

  FakePower power;
  FakeControl control;
  Psci psci{power, control};
};

TEST_F(PsciTest, VersionsAndKindsAreToldAsTheyAre) {
  EXPECT_EQ(call(0x8400'0000), 0x1'0001) << "PSCI 1.1";
  EXPECT_EQ(call(0x8000'0000), 0x1'0001) << "SMCCC 1.1";
  EXPECT_EQ(call(0x8400'0006), 2) << "no trusted OS";
}

TEST_F(PsciTest, FeaturesNameWhatThereIs) {
  for (const std::uint32_t there :
       {0x8000'0000U, 0x8400'0000U, 0x8400'0001U, 0xc400'0001U, 0x8400'0002U, 0x8400'0003U,
        0xc400'0003U, 0x8400'0004U, 0xc400'0004U, 0x8400'0006U, 0x8400'0008U, 0x8400'0009U,
        0x8400'000aU}) {
    EXPECT_EQ(call(0x8400'000a, there), Psci::kSuccess) << std::hex << there;
  }
  for (const std::uint32_t missing :
       {0U, 0x8400'0005U, 0x8400'0007U, 0x8400'000eU, 0xc400'000eU, 0x8400'0012U, 0xc400'0012U,
        0xc400'0002U, 0xc400'0000U, 0x8600'0000U}) {
    EXPECT_EQ(call(0x8400'000a, missing), Psci::kNotSupported) << std::hex << missing;
  }
}

TEST_F(PsciTest, NoArchitecturalWorkaroundIsOffered) {
  EXPECT_EQ(call(0x8000'0001, 0x8000'0000), Psci::kSuccess);
  EXPECT_EQ(call(0x8000'0001, 0x8000'0001), Psci::kSuccess);
  EXPECT_EQ(call(0x8000'0001, 0x8000'8000), Psci::kNotSupported) << "SMCCC_ARCH_WORKAROUND_1";
}

TEST_F(PsciTest, UnknownFunctionsAreNotSupported) {
  for (const std::uint64_t function :
       {std::uint64_t{0}, std::uint64_t{0x8400'0005}, std::uint64_t{0x8400'0012},
        std::uint64_t{0xc400'0012}, std::uint64_t{0x8600'ff01}, ~std::uint64_t{0}}) {
    EXPECT_EQ(call(function), -1) << std::hex << function;
  }
}

TEST_F(PsciTest, OnlyTheLowHalfOfX0IsTheFunction) {
  EXPECT_EQ(call(0xffff'ffff'8400'0000), 0x1'0001);
}

TEST_F(PsciTest, CpuOnStartsAVcpuThatIsOff) {
  EXPECT_EQ(call(0xc400'0003, 1, kRam + 0x1'0000'0000, 0x1234'5678'9abc), Psci::kSuccess);
  EXPECT_EQ(power.started,
            (std::vector<FakePower::Start>{{1, kRam + 0x1'0000'0000, 0x1234'5678'9abc}}));
}

TEST_F(PsciTest, CpuOnOf32BitsTakesTheLowHalves) {
  EXPECT_EQ(call(0x8400'0003, 0xf'0000'0002, 0xf'0000'0000 | kRam, 0xf'0000'0007), Psci::kSuccess);
  EXPECT_EQ(power.started, (std::vector<FakePower::Start>{{2, kRam, 7}}));
}

TEST_F(PsciTest, CpuOnSaysWhyNot) {
  power.states[2] = PowerState::kOnPending;
  EXPECT_EQ(call(0xc400'0003, 0, kRam), Psci::kAlreadyOn);
  EXPECT_EQ(call(0xc400'0003, 2, kRam), Psci::kOnPending);
  EXPECT_EQ(call(0xc400'0003, 3, kRam), Psci::kInvalidParameters);
  EXPECT_EQ(call(0xc400'0003, 0x101, kRam), Psci::kInvalidParameters);
  EXPECT_EQ(call(0xc400'0003, 0x1'0000'0001, kRam), Psci::kInvalidParameters);
  EXPECT_EQ(call(0xc400'0003, 1, kRam - 4), Psci::kInvalidAddress);
  EXPECT_EQ(call(0xc400'0003, 1, kRam + 2), Psci::kInvalidAddress);
  EXPECT_TRUE(power.started.empty());
}

TEST_F(PsciTest, CpuOffStopsTheCaller) {
  power.states[1] = PowerState::kOn;
  psci.call(1, 0x8400'0002, {});
  EXPECT_EQ(power.states[1], PowerState::kOff);
  EXPECT_EQ(power.states[0], PowerState::kOn);
}

TEST_F(PsciTest, AffinityInfoTellsTheStateOfOne) {
  power.states[2] = PowerState::kOnPending;
  EXPECT_EQ(call(0xc400'0004, 0, 0), 0);
  EXPECT_EQ(call(0xc400'0004, 1, 0), 1);
  EXPECT_EQ(call(0x8400'0004, 2, 0), 2);
  EXPECT_EQ(call(0xc400'0004, 3, 0), Psci::kInvalidParameters);
}

TEST_F(PsciTest, AffinityInfoOfHigherLevelsIsThatOfEverybody) {
  for (const std::uint64_t level : {1U, 2U, 3U}) {
    EXPECT_EQ(call(0xc400'0004, 0, level), 0) << level;
    EXPECT_EQ(call(0xc400'0004, 0x7f, level), 0) << "Aff0 does not matter";
    EXPECT_EQ(call(0xc400'0004, 0x1'0000'0000, level), Psci::kInvalidParameters);
  }
  EXPECT_EQ(call(0xc400'0004, 0x100, 1), Psci::kInvalidParameters);
  EXPECT_EQ(call(0xc400'0004, 0x100, 2), 0);
  EXPECT_EQ(call(0xc400'0004, 0, 4), Psci::kInvalidParameters);
  power.states[0] = PowerState::kOff;
  EXPECT_EQ(call(0xc400'0004, 0, 1), 1);
}

TEST_F(PsciTest, EverySuspendIsAStandby) {
  EXPECT_EQ(call(0xc400'0001, 0), Psci::kSuccess);
  EXPECT_EQ(static_cast<std::int64_t>(psci.call(2, 0x8400'0001, {0x1'0000, kRam, 0})),
            Psci::kSuccess);
  EXPECT_EQ(power.waiting, (std::vector<unsigned>{0, 2}));
  EXPECT_EQ(call(0xc400'0001, 1 << 17), Psci::kInvalidParameters) << "reserved bits";
  EXPECT_EQ(power.waiting.size(), 2U);
}

TEST_F(PsciTest, TheMachineIsTurnedOffAndReset) {
  EXPECT_EQ(call(0x8400'0008), Psci::kInternalFailure);
  EXPECT_EQ(control.power_offs, 1U);
  EXPECT_EQ(call(0x8400'0009), Psci::kInternalFailure);
  EXPECT_EQ(control.resets, 1U);
}

}  // namespace
}  // namespace vpmu::machine
