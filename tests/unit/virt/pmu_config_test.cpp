// SPDX-License-Identifier: MIT
#include "vpmu/virt/x86/pmu_config.hpp"

#include <gtest/gtest.h>

namespace vpmu::virt::x86 {
namespace {

using silicon::x86::CpuModel;
using silicon::x86::Vendor;

TEST(PmuConfig, GuestOfIcelakeServerGetsVersion2WithEightAndThreeCounters) {
  const PmuConfig config = guest_pmu(*silicon::x86::find_cpu_model("icelake-server"));
  EXPECT_EQ(config, (PmuConfig{.vendor = Vendor::kIntel,
                               .version = 2,
                               .gp_counters = 8,
                               .gp_width = 48,
                               .fixed_counters = 3,
                               .fixed_width = 48,
                               .arch_event_length = 8,
                               .arch_events_unavailable = 0,
                               .perf_capabilities = 1 << 13,
                               .has_perf_capabilities = true}));
}

TEST(PmuConfig, GuestGetsNoMoreThanTheSiliconHas) {
  CpuModel model{};
  model.pmu = {.version = 1,
               .gp_counters = 2,
               .gp_width = 40,
               .fixed_counters = 3,
               .fixed_width = 40,
               .arch_event_length = 7};
  const PmuConfig config = guest_pmu(model);
  EXPECT_EQ(config.version, 1);
  EXPECT_EQ(config.gp_counters, 2);
  EXPECT_EQ(config.gp_width, 40);
  EXPECT_EQ(config.fixed_counters, 0) << "version 1 has no fixed counters";
  EXPECT_FALSE(config.has_perf_capabilities);
}

TEST(PmuConfig, CapabilitiesOtherThanFullWidthWritesAreNotPassedOn) {
  CpuModel model{};
  model.pmu = {.version = 5, .gp_counters = 4, .gp_width = 48, .perf_capabilities = ~0ULL};
  EXPECT_EQ(guest_pmu(model).perf_capabilities, 1u << 13);
}

TEST(PmuConfig, SiliconWithoutPmuGivesNone) {
  CpuModel model{};
  model.vendor = Vendor::kAmd;
  EXPECT_EQ(guest_pmu(model), no_pmu(Vendor::kAmd));
  model.pmu.version = 2;
  EXPECT_EQ(guest_pmu(model), no_pmu(Vendor::kAmd)) << "no counters";
}

}  // namespace
}  // namespace vpmu::virt::x86
