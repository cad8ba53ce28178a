// SPDX-License-Identifier: MIT
//
// A virtual PMU on a fake host perf, with a local APIC that only notes what arrives.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "unit/virt/fake_host_perf.hpp"
#include "vpmu/silicon/x86/msrs.hpp"
#include "vpmu/virt/x86/pmu.hpp"

namespace vpmu::virt::x86 {

/// Version 2 with four 48-bit counters and three fixed ones of 40 bits: widths differ to be told
/// apart.
inline constexpr PmuConfig kVersion2{
    .version = 2,
    .gp_counters = 4,
    .gp_width = 48,
    .fixed_counters = 3,
    .fixed_width = 40,
    .arch_event_length = 8,
    .arch_events_unavailable = 0x98,
    .perf_capabilities = 1 << 13,
    .has_perf_capabilities = true,
};
inline constexpr PmuConfig kVersion1{
    .version = 1, .gp_counters = 2, .gp_width = 40, .arch_event_length = 7};

/// Any version of Intel's with eight counters, and three fixed ones from version 2 on.
constexpr PmuConfig intel_config(std::uint8_t version) {
  PmuConfig config{.version = version,
                   .gp_counters = 8,
                   .gp_width = 48,
                   .arch_event_length = 8,
                   .perf_capabilities = 1 << 13,
                   .has_perf_capabilities = true};
  if (version > 1) {
    config.fixed_counters = 3;
    config.fixed_width = 48;
  }
  return config;
}

constexpr PmuConfig kAmdK7{
    .vendor = silicon::x86::Vendor::kAmd, .version = 1, .gp_counters = 4, .gp_width = 48};
constexpr PmuConfig kAmdCore{.vendor = silicon::x86::Vendor::kAmd,
                             .version = 1,
                             .gp_counters = 6,
                             .gp_width = 48,
                             .core_extension = true};
constexpr PmuConfig kAmdV2{.vendor = silicon::x86::Vendor::kAmd,
                           .version = 2,
                           .gp_counters = 6,
                           .gp_width = 48,
                           .core_extension = true};

class FakePmiSink final : public PmiSink {
 public:
  PmiOutcome raise_pmi(LvtpcAfterPmi after) override {
    ++raised;
    last = after;
    return outcome;
  }
  void request_entry_work() override { ++requests; }

  int raised = 0;
  int requests = 0;
  LvtpcAfterPmi last = LvtpcAfterPmi::kKeep;
  PmiOutcome outcome = PmiOutcome::kDelivered;
};

class PmuFixture : public testing::Test {
 protected:
  static constexpr std::uint64_t kEn = 1 << 22, kInt = 1 << 20, kOs = 1 << 17, kUsr = 1 << 16;
  static constexpr std::uint64_t kInstructions = 0xc0 | kEn | kOs | kUsr;
  static constexpr std::uint64_t kBranches = 0xc4 | kEn | kOs | kUsr;

  void make(const PmuConfig& config) {
    pmu.reset();
    pmu = std::make_unique<Pmu>(config, perf, hostperf::VcpuIndex{3}, sink);
  }
  PmuFixture() { make(kVersion2); }

  static MsrIndex plus(MsrIndex first, unsigned i) { return static_cast<MsrIndex>(raw(first) + i); }
  static MsrIndex pmc(unsigned i) { return plus(silicon::x86::msr::IA32_PMC0, i); }
  static MsrIndex full_pmc(unsigned i) { return plus(silicon::x86::msr::IA32_A_PMC0, i); }
  static MsrIndex event_select(unsigned i) { return plus(silicon::x86::msr::IA32_PERFEVTSEL0, i); }
  static MsrIndex fixed(unsigned k) { return plus(silicon::x86::msr::IA32_FIXED_CTR0, k); }

  static MsrIndex k7_select(unsigned i) { return plus(silicon::x86::msr::K7_EVNTSEL0, i); }
  static MsrIndex k7_counter(unsigned i) { return plus(silicon::x86::msr::K7_PERFCTR0, i); }
  static MsrIndex core_select(unsigned i) { return plus(silicon::x86::msr::PERF_CTL0, 2 * i); }
  static MsrIndex core_counter(unsigned i) { return plus(silicon::x86::msr::PERF_CTR0, 2 * i); }

  Access read(MsrIndex msr) { return pmu->read_msr(msr, Initiator::kGuest); }
  /// As the machine does it: what was written takes effect before the WRMSR retires.
  Access try_write(MsrIndex msr, std::uint64_t value) {
    const Access access = pmu->write_msr(msr, value, Initiator::kGuest);
    if (access.is_done()) pmu->before_entry();
    return access;
  }
  Access try_host_write(MsrIndex msr, std::uint64_t value) {
    return pmu->write_msr(msr, value, Initiator::kHost);
  }
  /// As a hypervisor does it whose hardware does not retire what it intercepts.
  void write_emulated(MsrIndex msr, std::uint64_t value) {
    EXPECT_EQ(pmu->write_msr(msr, value, Initiator::kGuest), Access::done());
    pmu->instruction_emulated(EmulatedInstruction::kPlain, silicon::Privilege::kKernel);
    pmu->before_entry();
  }
  Access host_read(MsrIndex msr) { return pmu->read_msr(msr, Initiator::kHost); }
  void write(MsrIndex msr, std::uint64_t value) {
    EXPECT_EQ(try_write(msr, value), Access::done());
  }
  void host_write(MsrIndex msr, std::uint64_t value) {
    EXPECT_EQ(try_host_write(msr, value), Access::done());
  }

  hostperf::FakeHostPerf perf;
  FakePmiSink sink;
  std::unique_ptr<Pmu> pmu;
};

}  // namespace vpmu::virt::x86
