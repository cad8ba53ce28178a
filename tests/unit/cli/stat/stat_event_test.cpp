// SPDX-License-Identifier: MIT
#include "cli/stat/stat_event.hpp"

#include <gtest/gtest.h>

#include "unit/cli/stat/stat_fixture.hpp"

namespace vpmu::test {
namespace {

using cli::stat::plan_stat;
using silicon::RawEvent;

std::vector<std::string> names(const cli::stat::StatPlan& plan) {
  std::vector<std::string> names;
  for (const auto& event : plan.events) names.push_back(event.name);
  return names;
}

TEST(StatEvents, ListsAreReadInTheirOrder) {
  const auto plan = plan_stat({"cycles,cpu/event=0xc4,umask=0x20/k", "task-clock"}, icelake());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(names(*plan),
            (std::vector<std::string>{"cycles", "cpu/event=0xc4,umask=0x20/k", "task-clock"}));
  ASSERT_EQ(plan->counted.size(), 2u);
  EXPECT_EQ(plan->counted[1].attr.config, 0x20c4u);
  EXPECT_TRUE(plan->counted[1].attr.exclude_user);
  EXPECT_TRUE(plan->events[2].task_clock);
}

TEST(StatEvents, WithoutAListThereIsOneForEveryModel) {
  for (const auto* model : silicon::x86::cpu_models()) {
    const auto plan = plan_stat({}, *model);
    ASSERT_TRUE(plan.has_value()) << model->name;
    EXPECT_EQ(names(*plan),
              (std::vector<std::string>{"task-clock", "cycles", "instructions", "branches",
                                        "branch-misses", "cache-references", "cache-misses"}))
        << model->name;
  }
}

TEST(StatEvents, ArmCpusHaveThemAll) {
  for (const auto* model : silicon::arm64::cpu_models()) {
    const auto plan = plan_stat({}, *model);
    ASSERT_TRUE(plan.has_value()) << model->name;
    EXPECT_EQ(names(*plan).size(), 7u) << model->name;
    for (const auto& event : plan->events) {
      EXPECT_EQ(event.raw.has_value(), !event.task_clock) << event.name;
    }
  }
  const auto plan = plan_stat({"BR_RETIRED:u,r1e"}, *silicon::arm64::find_cpu_model("neoverse-n1"));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->events[0].raw, RawEvent::kBranches);
  EXPECT_TRUE(plan->counted[0].attr.exclude_kernel);
  EXPECT_EQ(plan->events[1].raw, std::nullopt) << "a chained counter's, which is no event";
}

TEST(StatEvents, ATaskClockAloneHasAnEventForWhichTimePasses) {
  const auto alone = plan("task-clock");
  EXPECT_EQ(alone.events.size(), 1u);
  EXPECT_EQ(alone.counted.size(), 1u);
}

TEST(StatEvents, WhatIsCountedIsKnownUnlessItIsACondition) {
  EXPECT_EQ(plan("cycles").events[0].raw, RawEvent::kCycles);
  EXPECT_EQ(plan("INST_RETIRED.ANY").events[0].raw, RawEvent::kInstructions);
  EXPECT_EQ(plan("cpu/event=0xc0,cmask=1/").events[0].raw, std::nullopt);
  EXPECT_EQ(plan("cpu/event=0xc0,edge/").events[0].raw, std::nullopt);
}

TEST(StatEvents, NamesDoNotReachTheTerminalAsTheyAre) {
  EXPECT_EQ(plan("cpu/cycles,name=a\x1b[2Jb/").events[0].name, "a?[2Jb");
}

TEST(StatEvents, ErrorsNameTheListAndTheRemedy) {
  struct Case {
    const char* list;
    const char* part;
  };
  const Case cases[] = {
      {"", "an event is empty"},
      {",cycles", "an event is empty"},
      {"cycles,", "an event is empty"},
      {"cycles,,branches", "-e 'cycles,,branches': an event is empty; give events with one comma"},
      {"{cycles,branches}", "leave the braces out"},
      {"cycels", "names like it: cycles"},
      {"cycles:p", "modifier 'p' is for samples"},
      {"cpu/cycles,period=9/", "term 'period' is for samples"},
      {"cpu/cycles", "the second slash is missing"},
  };
  for (const Case& expected : cases) {
    const auto plan = plan_stat({expected.list}, icelake());
    ASSERT_FALSE(plan.has_value()) << expected.list;
    EXPECT_NE(plan.error().message.find(expected.part), std::string::npos) << plan.error().message;
    EXPECT_EQ(plan.error().message.find("-e"), 0u) << plan.error().message;
  }
}

}  // namespace
}  // namespace vpmu::test
