// SPDX-License-Identifier: MIT
//
// `vpmu stat` as a process.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class StatCommandTest : public CommandTest {
 protected:
  /// 1000 rounds of two instructions, and the three of the end.
  std::string looping() {
    return std::string{"'"} + guest(mov_ecx(1000) + Code{0xff, 0xc9, 0x75, 0xfc} + debug_exit(3)) +
           "' ";
  }
  nlohmann::json json(const std::string& arguments) {
    const Result result =
        vpmu("stat " + looping() + arguments + " --json -o '" + path("out.json") + "'");
    EXPECT_EQ(result.status, 7) << result.errors;
    auto parsed = nlohmann::json::parse(content(path("out.json")), nullptr, false);
    EXPECT_FALSE(parsed.is_discarded());
    return parsed;
  }
};

TEST_F(StatCommandTest, TableIsOnStandardErrorAndStatusTheGuests) {
  const Result result = vpmu("stat " + looping() + "-e instructions,branches");
  EXPECT_EQ(result.status, 7);
  EXPECT_EQ(result.output, "");
  // MOV, a thousand times DEC and JNZ, MOV, OUT
  EXPECT_NE(result.errors.find("          2,003  instructions"), std::string::npos)
      << result.errors;
  EXPECT_NE(result.errors.find("          1,000  branches"), std::string::npos);
  EXPECT_NE(result.errors.find("Performance counter stats for '"), std::string::npos);
  EXPECT_NE(result.errors.find("vpmu: debug-exit 3 (status 7)"), std::string::npos);
}

TEST_F(StatCommandTest, WhatProgramsReadHasNothingElseInIt) {
  EXPECT_EQ(vpmu("stat " + looping() + "-e branches -x ,").errors.find("1000,,branches,"), 0u);
  EXPECT_EQ(content(path("err")).find("vpmu:"), std::string::npos);
  const Result as_json = vpmu("stat " + looping() + "-e branches --json");
  EXPECT_FALSE(nlohmann::json::parse(as_json.errors, nullptr, false).is_discarded());
  const Result to_output = vpmu("stat " + looping() + "-e branches -x , -o -");
  EXPECT_EQ(to_output.output.find("1000,,branches,"), 0u);
  EXPECT_NE(to_output.errors.find("vpmu: debug-exit"), std::string::npos);
}

TEST_F(StatCommandTest, IntervalsSumUpToTheWhole) {
  const auto report = json("-e instructions,cycles -I 300");
  ASSERT_GT(report["intervals"].size(), 3u);
  std::uint64_t instructions = 0, cycles = 0, end = 0;
  for (const auto& interval : report["intervals"]) {
    EXPECT_GT(interval["end_cycle"], end);
    end = interval["end_cycle"];
    instructions += interval["events"][0]["count"].get<std::uint64_t>();
    cycles += interval["events"][1]["count"].get<std::uint64_t>();
  }
  EXPECT_EQ(end, report["outcome"]["cycles"]);
  EXPECT_EQ(instructions, 2003u);
  EXPECT_EQ(report["events"][0]["value"], 2003);
  EXPECT_EQ(report["events"][1]["value"], cycles);
}

TEST_F(StatCommandTest, TextOfIntervalsComesAsTheyEnd) {
  const Result result = vpmu("stat " + looping() + "-e branches -I 500 -x , -o -");
  EXPECT_EQ(result.status, 7);
  std::uint64_t sum = 0;
  std::istringstream lines{result.output};
  for (std::string time, value, rest; std::getline(lines, time, ',');) {
    std::getline(lines, value, ',');
    std::getline(lines, rest);
    EXPECT_EQ(time.find("0.00000"), 0u);
    sum += std::stoull(value);
  }
  EXPECT_EQ(sum, 1000u);
}

TEST_F(StatCommandTest, WithoutEventsThereIsAUsefulTable) {
  const auto report = json("");
  ASSERT_EQ(report["events"].size(), 7u);
  EXPECT_EQ(report["events"][0]["event"], "task-clock");
  EXPECT_EQ(report["events"][2]["metric"]["unit"], "insn per cycle");
}

TEST_F(StatCommandTest, MoreEventsThanCountersAreEstimated) {
  std::string list = "branches";
  for (int i = 0; i < 15; ++i) list += ",branches";
  // Long enough for all of them to take turns.
  const std::string long_guest =
      std::string{"'"} + guest(mov_ecx(20'000'000) + Code{0xff, 0xc9, 0x75, 0xfc} + debug_exit(3)) +
      "' ";
  const Result result = vpmu("stat " + long_guest + "-e " + list + " --json -o -");
  const auto report = nlohmann::json::parse(result.output, nullptr, false);
  ASSERT_EQ(report["events"].size(), 16u);
  for (const auto& event : report["events"]) {
    EXPECT_LT(event["running_percent"], 100.0);
    EXPECT_LT(event["count"], 20'000'000);
    EXPECT_NEAR(event["value"].get<double>(), 2e7, 2e5);
  }
}

TEST_F(StatCommandTest, AllOptionsOfAGuestAreTaken) {
  const std::string loop = std::string{"'"} + guest(forever()) + "' ";
  const Result limited =
      vpmu("stat " + loop + "--max-instructions 1000 --smp 2 --cpu zen2 -e instructions -x , -o -");
  EXPECT_EQ(limited.status, 124);
  EXPECT_EQ(limited.output.find("1000,,instructions"), 0u);
  ASSERT_EQ(vpmu("run " + looping() + "--save-at 1003='" + path("state") + "'").status, 7);
  const Result restored = vpmu("stat --restore '" + path("state") + "' -e instructions -x , -o -");
  EXPECT_EQ(restored.status, 7);
  EXPECT_EQ(restored.output.find("1000,,instructions"), 0u);
}

TEST_F(StatCommandTest, ACrashedGuestWasCountedToo) {
  const Result result = vpmu("stat '" + guest({0x0f, 0x0b}) + "' -e cycles -x , -o -");
  EXPECT_EQ(result.status, 125);
  EXPECT_NE(result.output.find(",,cycles,"), std::string::npos);
}

TEST_F(StatCommandTest, BadInputIsNamedBeforeTheGuestRuns) {
  const std::string printing = std::string{"'"} + guest(print('x') + debug_exit(0)) + "' ";
  expect_bad_input("stat", "GUEST is required");
  expect_bad_input("stat /nonexistent", "/nonexistent");
  expect_bad_input("stat " + printing + "-e cycels", "names like it: cycles");
  expect_bad_input("stat " + printing + "-e", "-e");
  expect_bad_input("stat " + printing + "-e ''", "an event is empty");
  expect_bad_input("stat " + printing + "-e cycles:p", "modifier 'p'");
  expect_bad_input("stat " + printing + "-x 1", "-x '1': fields cannot be told apart");
  expect_bad_input("stat " + printing + "-x ''", "fields cannot be told apart");
  expect_bad_input("stat " + printing + "-x , --json", "--json");
  expect_bad_input("stat " + printing + "-I 0", "--interval");
  expect_bad_input("stat " + printing + "-I -5", "--interval");
  expect_bad_input("stat " + printing + "-o '" + path("none/out") + "'",
                   "none/out': No such file or directory");
  expect_bad_input("stat " + printing + "--cpu zen9", "zen9");
  expect_bad_input("stat " + printing + "--cpu zen2 -e cpu/event=0x1234/", "0x1234");
  expect_bad_input("stat " + printing + "--trace msr", "--trace");
}

}  // namespace
}  // namespace vpmu::test
