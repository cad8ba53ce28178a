// SPDX-License-Identifier: MIT
#include "cli/pv_perf_option.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using cli::parse_pv_perf_request;
using virt::x86::PvPerfRequest;

const silicon::x86::CpuModel& model(const char* name) {
  return *silicon::x86::find_cpu_model(name);
}

TEST(PvPerfOption, EveryKeyIsUnderstood) {
  struct Case {
    const char* text;
    PvPerfRequest request;
  };
  const Case cases[] = {
      {"events=32", {.events = 32}},
      {"width=64", {.width = 64}},
      {"publish-us=0", {.publish_us = 0}},
      {"min-period=1000", {.minimum_period = 1000}},
      {"interrupts-per-ms=5", {.interrupts_per_ms = 5}},
      {"msr-base=0x40006000", {.msr_base = 0x40006000}},
      {"area=off", {.area = false}},
      {"batch=off", {.batch = false}},
      {"rdpmc=off", {.rdpmc = false}},
      {"auto-reload=off", {.auto_reload = false}},
      {"raw=off", {.raw = false}},
      {"hypercalls=off", {.hypercalls = false}},
      {"pool=on", {.pool = true}},
      {"events=4,width=50,raw=on", {.events = 4, .width = 50, .raw = true}},
  };
  for (const Case& each : cases) {
    const auto request = parse_pv_perf_request(each.text);
    ASSERT_TRUE(request.has_value()) << each.text << ": " << request.error().message;
    EXPECT_EQ(*request, each.request) << each.text;
  }
}

TEST(PvPerfOption, WhatIsNotUnderstoodIsNamed) {
  struct Case {
    const char* text;
    const char* says;
  };
  const Case cases[] = {
      {"", "'' is none of on, off, events, width, publish-us"},
      {"maybe", "'maybe' is none of"},
      {"on,events=2", "'on' is none of"},
      {"events", "events=: give a number"},
      {"events=", "events=: give a number"},
      {"events=two", "events=two: give a number"},
      {"events=2x", "events=2x: give a number"},
      {"events=-1", "events=-1: give a number"},
      {"events=0x", "events=0x: give a number"},
      {"events=99999999999", "give a number"},
      {"raw=yes", "raw=yes: give on or off"},
      {"raw", "raw=: give on or off"},
      {"events=2,", "'' is none of"},
      {"events=2,events=3", "events is given twice"},
  };
  for (const Case& each : cases) {
    const auto request = parse_pv_perf_request(each.text);
    ASSERT_FALSE(request.has_value()) << each.text;
    EXPECT_NE(request.error().message.find(each.says), std::string::npos)
        << each.text << ": " << request.error().message;
  }
}

TEST(PvPerfOption, WhatTheHostCannotOfferIsRefusedWithTheOption) {
  const char* const cases[] = {"events=0",
                               "events=33",
                               "width=47",
                               "width=65",
                               "area=off,batch=on",
                               "pool=on,raw=on",
                               "msr-base=0x40000000",
                               "interrupts-per-ms=0"};
  for (const char* text : cases) {
    const auto config = cli::pv_perf_config(model("zen4"), model("zen4"), text);
    ASSERT_FALSE(config.has_value()) << text;
    EXPECT_EQ(config.error().message.find("--pv-perf: "), 0u) << config.error().message;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos);
  }
}

TEST(PvPerfOption, OffOffersNothing) {
  const auto config = cli::pv_perf_config(model("zen4"), model("zen4"), "off");
  ASSERT_TRUE(config.has_value());
  EXPECT_FALSE(config->has_value());
}

TEST(PvPerfOption, TheHostSaysWhatItCountsAndTheGuestHowLongAddressesAre) {
  const auto own = cli::pv_perf_config(model("icelake-server"), model("icelake-server"), "on");
  const auto other = cli::pv_perf_config(model("icelake-server"), model("zen4"), "on");
  const auto zen = cli::pv_perf_config(model("zen4"), model("zen4"), "on");
  ASSERT_TRUE(own.has_value() && other.has_value() && zen.has_value());
  EXPECT_EQ((*other)->physical_bits, (*own)->physical_bits);
  EXPECT_EQ((*other)->generic_events, (*zen)->generic_events);
  EXPECT_EQ((*other)->at_once, (*zen)->at_once);
}

TEST(PvPerfOption, RawEventsWantAGuestThatMayNameThem) {
  cli::GuestOptions options;
  options.pv_perf_raw = "raw.json";
  options.names = {"--pv-perf-raw"};
  const auto off = cli::pv_perf_raw(options, model("zen4"), std::nullopt);
  ASSERT_FALSE(off.has_value());
  EXPECT_NE(off.error().message.find("give --pv-perf on"), std::string::npos);
  const auto no_raw = cli::pv_perf_config(model("zen4"), model("zen4"), "raw=off");
  const auto none = cli::pv_perf_raw(options, model("zen4"), *no_raw);
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("raw=on"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::test
