// SPDX-License-Identifier: MIT
//
// `vpmu stat` of AArch64 guests, as a process.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class StatArm64Test : public CommandTest {
 protected:
  Result stat(const std::string& arguments) {
    return vpmu("stat '" VPMU_ARM64_GUESTS "/hello.elf' " + arguments);
  }
};

TEST_F(StatArm64Test, CountsOfAllNamesOfAnEventAreOne) {
  const Result result = stat("-e instructions,inst_retired,r8,armv8_pmuv3/event=0x8/ --json -o '" +
                             path("out") + "'");
  ASSERT_EQ(result.status, 1) << result.errors;
  const auto json = nlohmann::json::parse(content(path("out")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  ASSERT_EQ(json["events"].size(), 4u);
  EXPECT_EQ(json["cpu"]["model"], "neoverse-n1");
  for (const auto& event : json["events"]) {
    EXPECT_EQ(event["count"], json["outcome"]["instructions"]) << event["event"];
  }
}

TEST_F(StatArm64Test, SaysIfItWasSlowerThanItMayBe) {
  EXPECT_EQ(stat("-e instructions,cycles,exc_taken").errors.find("slower"), std::string::npos);
  const auto says = [this](const char* event, const char* how) {
    const std::string errors = stat(std::string{"-e "} + event).errors;
    EXPECT_NE(errors.find(std::string{" instructions ran "} + how + ", which is slower"),
              std::string::npos)
        << errors;
  };
  for (const char* event : {"branches", "l1d_cache_rd", "branch-misses:u"}) {
    says(event, "block by block");
  }
  for (const char* event : {"cache-misses", "dTLB-load-misses"}) says(event, "one by one");
}

TEST_F(StatArm64Test, WhatProgramsReadHasNothingElseInIt) {
  EXPECT_EQ(stat("-e branches -x ,").errors.find("vpmu:"), std::string::npos);
}

TEST_F(StatArm64Test, EventsOfOtherCpusAreErrors) {
  const std::string guest = "'" VPMU_ARM64_GUESTS "/hello.elf'";
  expect_bad_input("stat " + guest + " -e ref-cycles", "neoverse-n1 has none");
  expect_bad_input("stat " + guest + " -e BR_INST_RETIRED.COND", "is not known on neoverse-n1");
  expect_bad_input("stat " + guest + " --cpu cortex-a72 -e LLC-loads", "cortex-a72 has none");
}

}  // namespace
}  // namespace vpmu::test
