// SPDX-License-Identifier: MIT
#include "cli/pmu_option.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using cli::parse_pmu_request;
using virt::x86::PmuRequest;

const silicon::x86::CpuModel& icelake() {
  return *silicon::x86::find_cpu_model("icelake-server");
}

TEST(PmuOption, EveryKeyIsUnderstood) {
  struct Case {
    const char* text;
    PmuRequest request;
  };
  const Case cases[] = {
      {"version=4", {.version = 4}},
      {"gp=2", {.gp = 2}},
      {"fixed=0", {.fixed = 0}},
      {"width=40", {.width = 40}},
      {"fixed-width=32", {.fixed_width = 32}},
      {"fullwidth=off", {.full_width = false}},
      {"freeze=on", {.freeze = true}},
      {"anythread=on", {.any_thread = true}},
      {"lbr=on", {.lbr = true}},
      {"hgonly=on", {.host_guest_only = true}},
      {"corext=off", {.core_extension = false}},
      {"version=3,gp=4,anythread=on", {.version = 3, .gp = 4, .any_thread = true}},
  };
  for (const Case& each : cases) {
    const auto request = parse_pmu_request(each.text);
    ASSERT_TRUE(request.has_value()) << each.text << ": " << request.error().message;
    EXPECT_EQ(*request, each.request) << each.text;
  }
}

TEST(PmuOption, WhatIsNotUnderstoodIsNamed) {
  struct Case {
    const char* text;
    const char* says;
  };
  const Case cases[] = {
      {"", "'' is none of on, off, version, gp, fixed"},
      {"maybe", "'maybe' is none of"},
      {"on,version=2", "'on' is none of"},
      {"version", "version=: give a number"},
      {"version=", "version=: give a number"},
      {"version=two", "version=two: give a number"},
      {"version=2x", "version=2x: give a number"},
      {"version=-1", "version=-1: give a number"},
      {"version=99999999999", "give a number"},
      {"freeze=yes", "freeze=yes: give on or off"},
      {"freeze", "freeze=: give on or off"},
      {"version=2,", "'' is none of"},
      {"gp=2,gp=3", "gp is given twice"},
      {"Version=2", "'Version' is none of"},
  };
  for (const Case& each : cases) {
    const auto request = parse_pmu_request(each.text);
    ASSERT_FALSE(request.has_value()) << each.text;
    EXPECT_NE(request.error().message.find(each.says), std::string::npos)
        << request.error().message;
    EXPECT_EQ(request.error().message.find('\n'), std::string::npos);
  }
}

TEST(PmuOption, OnIsWhatKvmGivesAndOffIsNothing) {
  EXPECT_EQ(cli::pmu_config(icelake(), "on").value(), virt::x86::guest_pmu(icelake()));
  EXPECT_EQ(cli::pmu_config(icelake(), "off").value(), virt::x86::no_pmu(icelake().vendor));
  EXPECT_EQ(cli::pmu_config(icelake(), "version=5").value().version, 5);
}

TEST(PmuOption, ErrorsNameTheOption) {
  const auto config = cli::pmu_config(icelake(), "version=6");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().message, "--pmu: version=6: icelake-server has version 5; give 1 to 5");
}

}  // namespace
}  // namespace vpmu::test
