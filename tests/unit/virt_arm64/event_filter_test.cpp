// SPDX-License-Identifier: MIT
#include "vpmu/virt/arm64/event_filter.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "vpmu/silicon/arm64/pmu_registers.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::arm64::kPmuV3;
using silicon::arm64::kPmuV3p1;

constexpr std::uint8_t kAllow = FilterRange::kAllow, kDeny = FilterRange::kDeny;

struct Case {
  const char* name;
  std::vector<FilterRange> ranges;
  std::vector<std::uint16_t> admitted, denied;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"no range admits everything", {}, {0, 0x11, 0xffff}, {}},
      {"a first that allows denies the rest", {{0x08, 1, kAllow}}, {0x08}, {0x07, 0x09, 0x4000}},
      {"a first that denies allows the rest", {{0x08, 2, kDeny}}, {0x07, 0x0a, 0xffff}, {8, 9}},
      {"later ones apply on top",
       {{0x10, 0x10, kAllow}, {0x12, 2, kDeny}, {0x13, 1, kAllow}},
       {0x10, 0x11, 0x13, 0x14, 0x1f},
       {0x0f, 0x12, 0x20}},
      {"the default is the first one's only",
       {{0x08, 1, kDeny}, {0x09, 1, kAllow}},
       {0x07, 0x09, 0x0a},
       {0x08}},
      {"an empty first range decides the default", {{0, 0, kAllow}}, {}, {0, 0x08, 0xffff}},
      {"an empty later range does nothing", {{0x08, 1, kAllow}, {0x08, 0, kDeny}}, {0x08}, {0x09}},
      {"up to the last event", {{0xff00, 0x100, kAllow}}, {0xff00, 0xffff}, {0xfeff, 0}},
      {"across words", {{0x3e, 0x44, kAllow}}, {0x3e, 0x40, 0x7f, 0x81}, {0x3d, 0x82}},
  };
  return kCases;
}

TEST(Arm64EventFilter, DecidesAsKvmDoes) {
  for (const Case& each : cases()) {
    EventFilter filter{kPmuV3p1};
    for (const FilterRange& range : each.ranges) ASSERT_TRUE(filter.set(range)) << each.name;
    for (const std::uint16_t event : each.admitted) {
      EXPECT_TRUE(filter.admits(event)) << each.name << ' ' << event;
    }
    for (const std::uint16_t event : each.denied) {
      EXPECT_FALSE(filter.admits(event)) << each.name << ' ' << event;
    }
  }
}

struct Refusal {
  const char* name;
  std::uint8_t pmu_version;
  FilterRange range;
  bool refused;
};
constexpr Refusal kRefusals[] = {
    {"last event of 8.0", kPmuV3, {0x3ff, 1, kAllow}, false},
    {"beyond 8.0", kPmuV3, {0x3ff, 2, kAllow}, true},
    {"base beyond 8.0", kPmuV3, {0x400, 1, kAllow}, true},
    {"nothing behind the end of 8.0", kPmuV3, {0x400, 0, kAllow}, false},
    {"last event of 8.1", kPmuV3p1, {0xffff, 1, kDeny}, false},
    {"beyond 8.1", kPmuV3p1, {0xffff, 2, kDeny}, true},
    {"everything but one", kPmuV3p1, {1, 0xffff, kDeny}, false},
    {"unknown action", kPmuV3p1, {0, 1, 2}, true},
    {"unknown action of nothing", kPmuV3p1, {0, 0, 255}, true},
};

TEST(Arm64EventFilter, RangesThatCannotBeAreInvalid) {
  for (const Refusal& each : kRefusals) {
    EventFilter filter{each.pmu_version};
    const auto set = filter.set(each.range);
    EXPECT_EQ(!set, each.refused) << each.name;
    if (!set) {
      EXPECT_EQ(set.error(), FilterError::kInvalid) << each.name;
    }
  }
}

TEST(Arm64EventFilter, RefusedRangeChangesNothing) {
  EventFilter filter{kPmuV3p1};
  ASSERT_FALSE(filter.set({.base_event = 8, .nevents = 1, .action = 9}));
  EXPECT_TRUE(filter.admits(8));
  ASSERT_TRUE(filter.set({.base_event = 8, .nevents = 1, .action = kDeny}));
  EXPECT_TRUE(filter.admits(9)) << "this one was the first";
  EXPECT_EQ(filter.ranges().size(), 1u);
}

TEST(Arm64EventFilter, NothingChangesOnceTheVmHasRun) {
  EventFilter filter{kPmuV3p1};
  ASSERT_TRUE(filter.set({.base_event = 8, .nevents = 1, .action = kDeny}));
  filter.vm_has_run();
  const auto set = filter.set({.base_event = 9, .nevents = 1, .action = kDeny});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error(), FilterError::kBusy);
  EXPECT_TRUE(filter.admits(9));
}

TEST(Arm64EventFilter, ExplainsByTheLastRangeThatCoversTheEvent) {
  EventFilter filter{kPmuV3p1};
  EXPECT_EQ(filter.explain(8), (FilterVerdict{.admitted = true}));
  EXPECT_TRUE(filter.default_admits());
  ASSERT_TRUE(filter.set({.base_event = 0, .nevents = 16, .action = kAllow}));
  ASSERT_TRUE(filter.set({.base_event = 8, .nevents = 4, .action = kDeny}));
  ASSERT_TRUE(filter.set({.base_event = 9, .nevents = 0, .action = kAllow}));
  EXPECT_EQ(filter.explain(7), (FilterVerdict{.admitted = true, .range = 0}));
  EXPECT_EQ(filter.explain(9), (FilterVerdict{.admitted = false, .range = 1}));
  EXPECT_EQ(filter.explain(16), (FilterVerdict{.admitted = false}));
  EXPECT_FALSE(filter.default_admits());
}

}  // namespace
}  // namespace vpmu::virt::arm64
