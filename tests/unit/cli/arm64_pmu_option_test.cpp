// SPDX-License-Identifier: MIT
#include "cli/arm64_pmu_option.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using virt::arm64::PmuConfig;

const silicon::arm64::CpuModel& model(const char* name) {
  return *silicon::arm64::find_cpu_model(name);
}

TEST(Arm64PmuOption, OnIsWhatKvmGivesAndOffIsNothing) {
  for (const auto* each : silicon::arm64::cpu_models()) {
    EXPECT_EQ(cli::arm64_pmu_config(*each, "on").value(), virt::arm64::guest_pmu(*each));
    EXPECT_EQ(cli::arm64_pmu_config(*each, "off").value(), PmuConfig{});
  }
}

TEST(Arm64PmuOption, EveryKeyTakesSomethingAwayAndLeavesTheRest) {
  const PmuConfig whole = virt::arm64::guest_pmu(model("neoverse-v1"));
  PmuConfig few = whole;
  few.event_counters = 2;
  EXPECT_EQ(cli::arm64_pmu_config(model("neoverse-v1"), "counters=2").value(), few);
  PmuConfig none = whole;
  none.event_counters = 0;
  EXPECT_EQ(cli::arm64_pmu_config(model("neoverse-v1"), "counters=0").value(), none);
  PmuConfig same = whole;
  EXPECT_EQ(cli::arm64_pmu_config(model("neoverse-v1"), "version=5,counters=6").value(), same);
}

TEST(Arm64PmuOption, VersionsBeforeArmv84HaveNoSlots) {
  for (const char* text : {"version=1", "version=4", "version=4,counters=3"}) {
    const auto config = cli::arm64_pmu_config(model("neoverse-v1"), text);
    ASSERT_TRUE(config.has_value()) << text << ": " << config.error().message;
    EXPECT_EQ(config->slots, 0) << text;
    EXPECT_TRUE(possible(*config)) << text;
  }
}

TEST(Arm64PmuOption, WhatCannotBeIsNamedWithTheRemedy) {
  struct Case {
    const char* model;
    const char* text;
    const char* says;
  };
  const Case cases[] = {
      {"neoverse-n1", "", "--pmu: '' is none of on, off, version, counters"},
      {"neoverse-n1", "maybe", "--pmu: 'maybe' is none of"},
      {"neoverse-n1", "on,counters=2", "--pmu: 'on' is none of"},
      {"neoverse-n1", "gp=2", "--pmu: 'gp' is none of"},
      {"neoverse-n1", "counters", "--pmu: counters=: give a number"},
      {"neoverse-n1", "counters=two", "--pmu: counters=two: give a number"},
      {"neoverse-n1", "counters=2,counters=3", "--pmu: counters is given twice"},
      {"neoverse-n1", "counters=7", "--pmu: counters=7: neoverse-n1 has 6; give that or fewer"},
      {"neoverse-n1", "counters=262", "--pmu: counters=262: neoverse-n1 has 6"},
      {"neoverse-n1", "version=5", "--pmu: version=5: neoverse-n1 has version 4"},
      {"cortex-a72", "version=4", "--pmu: version=4: cortex-a72 has version 1"},
      {"neoverse-n1", "version=257", "--pmu: version=257: neoverse-n1 has version 4"},
      {"neoverse-n1", "version=0", "--pmu: version=0: there is no such PMU"},
      {"neoverse-n1", "version=3", "--pmu: version=3: there is no such PMU"},
  };
  for (const Case& each : cases) {
    const auto config = cli::arm64_pmu_config(model(each.model), each.text);
    ASSERT_FALSE(config.has_value()) << each.text;
    EXPECT_EQ(config.error().message.rfind(each.says, 0), 0u) << config.error().message;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace vpmu::test
