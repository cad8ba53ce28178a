// SPDX-License-Identifier: MIT
#include "cli/filter/list_events.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "policy/event_catalogue.hpp"

namespace vpmu::cli::filter {
namespace {

std::string text_of(const ListEventsOptions& options) {
  const auto output = run_list_events(options);
  EXPECT_TRUE(output) << output.error().message;
  return output ? output->text : "";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::size_t longest_line(const std::string& text) {
  std::istringstream lines{text};
  std::size_t most = 0;
  for (std::string line; std::getline(lines, line);) most = std::max(most, line.size());
  return most;
}

TEST(FilterListEvents, HasALineForEachEventThatFitsTheTerminal) {
  for (const policy::CataloguedPmu& pmu : policy::catalogued_pmus()) {
    const std::string text = text_of({.cpu = pmu.name});
    EXPECT_LE(longest_line(text), 80u) << pmu.name;
    for (const policy::NamedEvent& event : (*policy::EventCatalogue::of(pmu.name))->events()) {
      ASSERT_TRUE(has(text, event.name)) << pmu.name;
    }
  }
}

TEST(FilterListEvents, LongLinesAreWrapped) {
  const std::string text = text_of({.cpu = "icelake-server", .is_long = true});
  EXPECT_LE(longest_line(text), 100u);
  EXPECT_TRUE(has(text, "    tier: "));
}

TEST(FilterListEvents, PatternsChoose) {
  const std::string text = text_of({.cpu = "icelake-server", .pattern = "MEM_INST_RETIRED.ALL_*"});
  EXPECT_TRUE(has(text, "MEM_INST_RETIRED.ALL_LOADS               0xd0/0x81  -"));
  EXPECT_FALSE(has(text, "BR_INST_RETIRED"));
  EXPECT_TRUE(has(text_of({.cpu = "icelake-server", .pattern = "r81d0"}), "ALL_LOADS"));
}

TEST(FilterListEvents, WhatNobodyKnowsIsAnError) {
  EXPECT_FALSE(run_list_events({.cpu = "icelake-servre"}));
  const auto name =
      run_list_events({.cpu = "icelake-server", .pattern = "MEM_INST_RETIRED.ALL_LOAD"});
  ASSERT_FALSE(name);
  EXPECT_TRUE(has(name.error().message, "MEM_INST_RETIRED.ALL_LOADS")) << name.error().message;
  const auto code = run_list_events({.cpu = "icelake-server", .pattern = "rfefe"});
  ASSERT_FALSE(code);
  EXPECT_TRUE(has(code.error().message, "has no name for it")) << code.error().message;
}

TEST(FilterListEvents, SaysWhereThereAreNoTiers) {
  EXPECT_FALSE(has(text_of({.cpu = "icelake-server"}), "no data"));
  EXPECT_TRUE(
      has(text_of({.cpu = "core"}), "no data: nobody has put the events of core into tiers"));
  const auto json = nlohmann::json::parse(text_of({.cpu = "core", .json = true}));
  EXPECT_EQ(json["tiers"], false);
  EXPECT_FALSE(json["events"][0].contains("tier"));
}

TEST(FilterListEvents, JsonHasAllOfIt) {
  const auto json = nlohmann::json::parse(
      text_of({.cpu = "icelake-server", .pattern = "INST_RETIRED.*", .json = true}));
  EXPECT_EQ(json["filter_events"], 1);
  EXPECT_EQ(json["pmu"], "icx");
  EXPECT_EQ(json["vendor"], "intel");
  std::map<std::string, nlohmann::json> events;
  for (const auto& event : json["events"]) {
    EXPECT_TRUE(event.contains("description"));
    EXPECT_TRUE(event.contains("tier"));
    events[event["name"]] = event;
  }
  EXPECT_FALSE(events["INST_RETIRED.ANY"].contains("event")) << "on its fixed counter only";
  EXPECT_EQ(events["INST_RETIRED.ANY"]["fixed_counter"], 0);
  EXPECT_EQ(events["INST_RETIRED.ANY_P"]["event"], 0xc0);
  EXPECT_EQ(events["INST_RETIRED.ANY_P"]["umask"], 0);
}

}  // namespace
}  // namespace vpmu::cli::filter
