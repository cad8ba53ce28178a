// SPDX-License-Identifier: MIT
#include "cli/event_spec.hpp"

#include <gtest/gtest.h>

namespace vpmu::test {
namespace {

using cli::parse_event;
using silicon::RawEvent;
using silicon::x86::CountedOn;
using silicon::x86::CpuModel;

const CpuModel& intel() {
  return *silicon::x86::find_cpu_model("icelake-server");
}

/// An AMD CPU with an event beyond 8 bits, whatever models there are.
CpuModel amd() {
  static constexpr silicon::x86::EventRow kEvents[] = {
      {"Instructions",
       {0x0c0, 0x00},
       RawEvent::kInstructions,
       silicon::x86::kNoFixedCounter,
       CountedOn::kAnyCounter,
       ""},
      {"Far_Event",
       {0x1c7, 0x02},
       RawEvent::kBranches,
       silicon::x86::kNoFixedCounter,
       CountedOn::kAnyCounter,
       ""},
  };
  CpuModel model = intel();
  model.name = "amd";
  model.vendor = silicon::x86::Vendor::kAmd;
  model.events = kEvents;
  return model;
}

std::uint64_t config(const char* text, const CpuModel& model) {
  const auto spec = parse_event(text, model);
  EXPECT_TRUE(spec.has_value()) << text << ": " << (spec ? "" : spec.error().message);
  return spec ? spec->attr.config : ~std::uint64_t{0};
}

std::string error(const char* text, const CpuModel& model = intel()) {
  const auto spec = parse_event(text, model);
  EXPECT_FALSE(spec.has_value()) << text;
  return spec ? std::string{} : spec.error().message;
}

TEST(EventSpec, NamesMeanWhatTheModelSays) {
  struct Case {
    const char* text;
    std::uint64_t config;
  };
  const Case cases[] = {
      {"cycles", 0x003c},
      {"cpu-cycles", 0x003c},
      {"instructions", 0x00c0},
      {"branches", 0x00c4},
      {"branch-instructions", 0x00c4},
      {"branch-misses", 0x00c5},
      {"BR_INST_RETIRED.COND", 0x11c4},
      {"br_inst_retired.cond", 0x11c4},
      {"INST_RETIRED.ANY", 0x0100},
      {"r01c4", 0x01c4},
      {"r10020000C0", 0x10020000c0},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(config(expected.text, intel()), expected.config) << expected.text;
  }
}

TEST(EventSpec, EveryEventOfEveryModelHasItsName) {
  for (const CpuModel* model : silicon::x86::cpu_models()) {
    for (const auto& row : model->events) {
      const auto spec = parse_event(row.name, *model);
      ASSERT_TRUE(spec.has_value()) << model->name << " " << row.name;
      EXPECT_EQ(spec->attr.config & 0xff, row.selector.event & 0xffu) << row.name;
      EXPECT_EQ(spec->attr.config >> 8 & 0xff, row.selector.unit_mask) << row.name;
    }
  }
}

TEST(EventSpec, AmdEventSelectsHaveTwelveBits) {
  EXPECT_EQ(config("far_event", amd()), 0x1'0000'02c7u);
  EXPECT_EQ(config("branches", amd()), 0x1'0000'02c7u);
  EXPECT_EQ(config("cpu/event=0x1c7,umask=0x2/", amd()), 0x1'0000'02c7u);
  EXPECT_EQ(config("cpu/event=0x1c7,event=0xc0/", amd()), 0xc0u);
  EXPECT_NE(error("cpu/event=0x1c7/").find("at most 0xff"), std::string::npos);
  EXPECT_NE(error("cpu/event=0x1000/", amd()).find("at most 0xfff"), std::string::npos);
}

TEST(EventSpec, TermsAreBitsOfTheEventSelect) {
  struct Case {
    const char* text;
    std::uint64_t config;
  };
  const Case cases[] = {
      {"cpu/event=0xc4,umask=0x11/", 0x11c4},
      {"cpu/event=196,umask=17/", 0x11c4},
      {"cpu/umask=0x11,event=0xc4/", 0x11c4},
      {"cpu/event=0xc0,cmask=2,inv,edge/", 0x0284'00c0},
      {"cpu/event=0xc0,inv=1,edge=0/", 0x0080'00c0},
      {"cpu/event=0xc0,in_tx/", 0x1'0000'00c0},
      {"cpu/event=0xc0,in_tx_cp/", 0x2'0000'00c0},
      {"cpu/config=0x11c4/", 0x11c4},
      {"cpu/branches,cmask=1/", 0x0100'00c4},
      {"cpu/BR_INST_RETIRED.COND/", 0x11c4},
      {"branches/cmask=1/", 0x0100'00c4},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(config(expected.text, intel()), expected.config) << expected.text;
  }
}

TEST(EventSpec, PeriodAndNameAreNotPartOfTheEvent) {
  const auto spec = parse_event("cpu/instructions,period=1000000,name=watchdog/D", intel());
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->name, "watchdog");
  EXPECT_EQ(spec->attr.period, 1'000'000u);
  EXPECT_EQ(spec->attr.config, 0xc0u);
  EXPECT_TRUE(spec->attr.pinned);
  EXPECT_EQ(parse_event("cycles:D", intel())->name, "cycles:D");
}

TEST(EventSpec, ModifiersExcludeWhatTheyDoNotName) {
  struct Case {
    const char* modifiers;
    bool user, kernel, guest, host, pinned, exclusive;
  };
  const Case cases[] = {
      {"", true, true, true, true, false, false},
      {":u", true, false, true, true, false, false},
      {":k", false, true, true, true, false, false},
      {":uk", true, true, true, true, false, false},
      {":G", true, true, true, false, false, false},
      {":H", true, true, false, true, false, false},
      {":GH", true, true, true, true, false, false},
      {":D", true, true, true, true, true, false},
      {":e", true, true, true, true, false, true},
      {":ukHD", true, true, false, true, true, false},
  };
  for (const Case& expected : cases) {
    for (const std::string event : {"cycles", "cpu/cycles/"}) {
      const auto spec = parse_event(event + expected.modifiers, intel());
      ASSERT_TRUE(spec.has_value()) << expected.modifiers;
      EXPECT_EQ(spec->attr.exclude_user, !expected.user) << expected.modifiers;
      EXPECT_EQ(spec->attr.exclude_kernel, !expected.kernel) << expected.modifiers;
      EXPECT_EQ(spec->attr.exclude_guest, !expected.guest) << expected.modifiers;
      EXPECT_EQ(spec->attr.exclude_host, !expected.host) << expected.modifiers;
      EXPECT_EQ(spec->attr.pinned, expected.pinned) << expected.modifiers;
      EXPECT_EQ(spec->attr.exclusive, expected.exclusive) << expected.modifiers;
    }
  }
  EXPECT_TRUE(parse_event("cpu/cycles/uD", intel())->attr.exclude_kernel);
}

TEST(EventSpec, SamplingIsPeriodOrFrequencyAndPreciseOrNot) {
  struct Case {
    const char* text;
    std::uint64_t period, frequency;
    bool precise, kernel;
  };
  const Case cases[] = {
      {"cycles", 0, 0, false, true},
      {"cycles:p", 0, 0, true, true},
      {"cycles:pp", 0, 0, true, true},
      {"cycles:upp", 0, 0, true, false},
      {"cycles:pup", 0, 0, true, false},
      {"cycles:ppp", 0, 0, true, true},
      {"cpu/cycles,freq=4000/p", 0, 4000, true, true},
      {"cpu/cycles,period=9000/u", 9000, 0, false, false},
      {"cycles/freq=99,period=0/", 0, 99, false, true},
  };
  for (const Case& expected : cases) {
    const auto spec = parse_event(expected.text, intel());
    ASSERT_TRUE(spec.has_value()) << expected.text;
    EXPECT_EQ(spec->attr.period, expected.period) << expected.text;
    EXPECT_EQ(spec->frequency, expected.frequency) << expected.text;
    EXPECT_EQ(spec->precise, expected.precise) << expected.text;
    EXPECT_EQ(spec->attr.exclude_kernel, !expected.kernel) << expected.text;
  }
}

TEST(EventSpec, WhatIsNotSampledIsNeitherPreciseNorHasAFrequency) {
  EXPECT_TRUE(vpmu::cli::parse_unsampled_event("cpu/cycles,period=9000/uD", intel()).has_value());
  struct Case {
    const char* text;
    const char* part;
  };
  const Case cases[] = {{"cycles:p", "modifier 'p' is for samples"},
                        {"cycles:Dpp", "modifier 'p' is for samples"},
                        {"cpu/cycles,freq=99/", "term 'freq' is for samples"},
                        {"cycels", "names like it: cycles"}};
  for (const Case& expected : cases) {
    const auto spec = vpmu::cli::parse_unsampled_event(expected.text, intel());
    ASSERT_FALSE(spec.has_value()) << expected.text;
    EXPECT_NE(spec.error().message.find(expected.part), std::string::npos) << spec.error().message;
  }
}

TEST(EventSpec, UnknownNamesGetTheNearestOnes) {
  EXPECT_NE(error("cycels").find("names like it: cycles"), std::string::npos);
  EXPECT_NE(error("br_inst_retired.cnd").find("BR_INST_RETIRED.COND"), std::string::npos);
  EXPECT_NE(error("MEM_INST").find("MEM_INST_RETIRED."), std::string::npos)
      << "what it is the beginning of";
  EXPECT_NE(error("cache-misses", amd()).find("amd has none"), std::string::npos);
}

TEST(EventSpec, ErrorsNameWhatIsWrong) {
  struct Case {
    const char* text;
    const char* part;
  };
  const Case cases[] = {
      {"", "empty"},
      {"cycles:", "no modifiers"},
      {"cycles:x", "modifier 'x'"},
      {"cycles:u:k", "modifier ':'"},
      {"cycles:pppp", "at most 3 times"},
      {"cpu/cycles,period=5,freq=5/", "exclude each other"},
      {"cpu/cycles,freq=often/", "give a number"},
      {"cpu", "'cpu' is not known"},
      {"cpu//", "'cpu' is not known"},
      {"cpu/event=0xc0", "second slash"},
      {"cpu/event=/", "give a number"},
      {"cpu/event=c0/", "give a number"},
      {"cpu/event=0x/", "give a number"},
      {"cpu/cmask=256/", "at most 0xff"},
      {"cpu/event=0xc0,,/", "term ''"},
      {"cpu/event=0xc0,frobnicate=1/", "term 'frobnicate'"},
      {"cpu/event=0xc0,cycles/", "term 'cycles'"},
      {"rxyz", "'rxyz' is not known"},
      {"r", "'r' is not known"},
      {"r11111111111111111", "is not known"},
  };
  for (const Case& expected : cases) {
    EXPECT_NE(error(expected.text).find(expected.part), std::string::npos)
        << expected.text << ": " << error(expected.text);
  }
}

}  // namespace
}  // namespace vpmu::test
