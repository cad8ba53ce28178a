// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/pmu_config.hpp"

#include <gtest/gtest.h>

namespace vpmu::virt::arm64 {
namespace {

using silicon::RawEvent;
using silicon::arm64::CpuModel;
using silicon::arm64::EventRow;

TEST(Arm64PmuConfig, GuestGetsThePmuOfItsCore) {
  const CpuModel& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  const PmuConfig config = guest_pmu(model);
  EXPECT_EQ(config.version, 4);
  EXPECT_EQ(config.event_counters, 6);
  EXPECT_FALSE(config.aarch32);
  EXPECT_EQ(config.common_events[0],
            silicon::arm64::common_events(model.events, 0) & ~silicon::arm64::kSampleEvents);
  EXPECT_EQ(config.common_events[1], silicon::arm64::common_events(model.events, 32));
}

TEST(Arm64PmuConfig, EventsOfSpeAreForGuestsThatHaveIt) {
  constexpr std::uint64_t kFour = std::uint64_t{0xf} << 32;
  for (const CpuModel* model : silicon::arm64::cpu_models()) {
    SCOPED_TRACE(model->name);
    const PmuConfig without = guest_pmu(*model), with = with_sample_events(without, *model);
    EXPECT_EQ(without.common_events[0] & kFour, 0u);
    EXPECT_EQ(with.common_events[0] & kFour, model->spe.version != 0 ? kFour : 0);
    EXPECT_EQ(with.common_events[0] & ~kFour, without.common_events[0]);
    EXPECT_EQ(with_sample_events({}, *model), PmuConfig{}) << "no PMU";
  }
}

TEST(Arm64PmuConfig, SlotsAreThoseOfAModelThatCountsStalledOnes) {
  EXPECT_EQ(guest_pmu(*silicon::arm64::find_cpu_model("neoverse-v1")).slots, 8);
  EXPECT_EQ(guest_pmu(*silicon::arm64::find_cpu_model("neoverse-n1")).slots, 0);
}

TEST(Arm64PmuConfig, EveryModelsIsPossible) {
  for (const CpuModel* model : silicon::arm64::cpu_models()) {
    EXPECT_TRUE(possible(guest_pmu(*model))) << model->name;
    EXPECT_NE(guest_pmu(*model).version, 0) << model->name;
  }
}

TEST(Arm64PmuConfig, WhatIsNewerThanArmv8_5IsOfferedAsThat) {
  constexpr EventRow kEvents[] = {{0x3f, "STALL_SLOT", RawEvent::kBackendBoundSlots, "", ""}};
  const CpuModel newer{.name = "newer",
                       .midr = 0,
                       .hz = 1,
                       .counter_hz = 1,
                       .pmu = {.version = 7, .event_counters = 31},
                       .events = kEvents,
                       .slots_per_cycle = 5};
  const PmuConfig config = guest_pmu(newer);
  EXPECT_EQ(config.version, 6);
  EXPECT_EQ(config.event_counters, 31);
  EXPECT_EQ(config.slots, 5) << "STALL_SLOT can be counted";
  EXPECT_TRUE(possible(config));
}

TEST(Arm64PmuConfig, ModelWithoutPmuHasNone) {
  EXPECT_EQ(
      guest_pmu({.name = "none", .midr = 0, .hz = 1, .counter_hz = 1, .pmu = {}, .events = {}}),
      PmuConfig{});
}

TEST(Arm64PmuConfig, VersionsAndCountsMustAgree) {
  EXPECT_TRUE(possible({}));
  EXPECT_TRUE(possible({.version = 1, .event_counters = 0}));
  EXPECT_TRUE(possible({.version = 6, .event_counters = 31, .slots = 8}));
  EXPECT_FALSE(possible({.version = 6, .event_counters = 32}));
  EXPECT_FALSE(possible({.event_counters = 1})) << "counters without a PMU";
  EXPECT_FALSE(possible({.version = 4, .event_counters = 6, .slots = 4})) << "PMMIR_EL1 of 8.4";
  for (const std::uint8_t version : {2, 3, 7, 8, 15, 255}) {
    EXPECT_FALSE(possible({.version = version, .event_counters = 6})) << unsigned{version};
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
