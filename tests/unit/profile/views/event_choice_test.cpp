// SPDX-License-Identifier: MIT
#include "profile/views/event_choice.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {
using vpmu::profile::choose_event;
using vpmu::profile::perf_data::FileInfo;

FileInfo with_events(const std::vector<std::string>& names) {
  FileInfo info;
  for (const std::string& name : names) info.events.emplace_back().name = name;
  return info;
}

std::string refusal(const std::vector<std::string>& names, const std::string& wanted) {
  const auto chosen = choose_event(with_events(names), wanted, "a.data");
  return chosen ? "none" : chosen.error().message;
}

TEST(EventChoiceTest, WithoutANameItIsTheFirst) {
  EXPECT_EQ(choose_event(with_events({"cycles", "instructions"}), "", "a.data"), 0u);
}

TEST(EventChoiceTest, AWholeNameIsPreferredToWhatIsBeforeModifiers) {
  EXPECT_EQ(choose_event(with_events({"cycles:u", "cycles"}), "cycles", "a.data"), 1u);
}

TEST(EventChoiceTest, ModifiersMayBeLeftOutIfThatSaysWhich) {
  EXPECT_EQ(choose_event(with_events({"branches", "cycles:p"}), "cycles", "a.data"), 1u);
  EXPECT_EQ(refusal({"cycles:u", "cycles:k"}, "cycles"),
            "-e cycles: 'a.data' has several such events; give one of 'cycles:u', 'cycles:k'");
}

TEST(EventChoiceTest, WhatThereIsNotIsRefusedWithWhatThereIs) {
  EXPECT_EQ(refusal({"cycles"}, "loads"),
            "-e loads: 'a.data' has no such event; give one of 'cycles'");
  EXPECT_EQ(refusal({}, ""), "'a.data' says of no event; record again");
}
}  // namespace
