// SPDX-License-Identifier: MIT
//
// A virtual PMUv3 on a fake host perf, with an interrupt line that only remembers its level.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "unit/virt/fake_host_perf.hpp"
#include "vpmu/silicon/arm64/pmu_registers.hpp"
#include "vpmu/virt/arm64/pmu.hpp"

namespace vpmu::virt::arm64 {

namespace reg = silicon::arm64::reg;

/// Six event counters, as Arm's cores have them, at each level of PMUv3.
constexpr PmuConfig config_of(std::uint8_t version) {
  return {.version = version, .event_counters = 6};
}
inline constexpr PmuConfig kArmv8_0 = config_of(silicon::arm64::kPmuV3);
inline constexpr PmuConfig kArmv8_1 = config_of(silicon::arm64::kPmuV3p1);
inline constexpr PmuConfig kArmv8_4 = config_of(silicon::arm64::kPmuV3p4);
inline constexpr PmuConfig kArmv8_5 = config_of(silicon::arm64::kPmuV3p5);

constexpr PmuConfig with_aarch32(PmuConfig config) {
  config.aarch32 = true;
  return config;
}

class FakeOverflowSink final : public OverflowSink {
 public:
  void set_overflow_line(bool asserted) override {
    EXPECT_NE(asserted, line) << "told of changes only";
    line = asserted;
    ++changes;
  }
  void request_entry_work() override { ++requests; }

  bool line = false;
  int changes = 0;
  int requests = 0;
};

class FakeGate final : public EventGate {
 public:
  [[nodiscard]] bool admits(std::uint16_t event) const override { return event != denied; }
  std::uint32_t denied = ~0u;
};

class PmuFixture : public testing::Test {
 protected:
  using SystemRegister = silicon::arm64::SystemRegister;
  using Privilege = silicon::Privilege;

  static constexpr std::uint64_t kE = 1 << 0, kP = 1 << 1, kC = 1 << 2, kD = 1 << 3, kX = 1 << 4,
                                 kDp = 1 << 5, kLc = 1 << 6, kLp = 1 << 7;
  static constexpr std::uint64_t kCycles = std::uint64_t{1} << 31;
  static constexpr std::uint64_t kNotEl1 = std::uint64_t{1} << 31, kNotEl0 = 1 << 30;
  static constexpr std::uint16_t kInstRetired = 0x08, kLoads = 0x66, kChain = 0x1e;

  void make(const PmuConfig& config) {
    pmu.reset();
    pmu = std::make_unique<Pmu>(config, perf, hostperf::VcpuIndex{3}, sink);
  }
  PmuFixture() { make(kArmv8_1); }

  Access try_read(SystemRegister which, Privilege privilege = Privilege::kKernel) {
    return pmu->read_register(which, privilege, Initiator::kGuest);
  }
  /// As the machine does it: what was written takes effect before the MSR retires.
  Access try_write(SystemRegister which, std::uint64_t value,
                   Privilege privilege = Privilege::kKernel) {
    const Access access = pmu->write_register(which, value, privilege, Initiator::kGuest);
    if (access.is_done()) pmu->before_entry();
    return access;
  }
  std::uint64_t read(SystemRegister which, Privilege privilege = Privilege::kKernel) {
    const Access access = try_read(which, privilege);
    EXPECT_TRUE(access.is_done());
    return access.value();
  }
  void write(SystemRegister which, std::uint64_t value, Privilege privilege = Privilege::kKernel) {
    EXPECT_EQ(try_write(which, value, privilege), Access::done());
  }
  void host_write(SystemRegister which, std::uint64_t value) {
    EXPECT_EQ(pmu->write_register(which, value, Privilege::kKernel, Initiator::kHost),
              Access::done());
    pmu->before_entry();
  }
  /// Event counter `n` counts `event` at both levels from now on.
  void start(unsigned n, std::uint64_t event) {
    write(reg::PMEVTYPER_EL0(n), event);
    write(reg::PMCNTENSET_EL0, std::uint64_t{1} << n);
    write(reg::PMCR_EL0, (read(reg::PMCR_EL0) & 0xf8) | kE);
  }
  /// What every event that runs counts, up to the next instruction boundary.
  void count(std::uint64_t events) {
    perf.count(events);
    if (pmu->has_entry_work()) pmu->before_entry();
  }

  hostperf::FakeHostPerf perf;
  FakeOverflowSink sink;
  std::unique_ptr<Pmu> pmu;
};

}  // namespace vpmu::virt::arm64
