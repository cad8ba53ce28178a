// SPDX-License-Identifier: MIT
//
// `vpmu filter` with filters of AArch64 guests.
#include "cli/filter/ranges.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/filter/range_diff.hpp"
#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

constexpr char kRanges[] =
    "cpu = \"neoverse-n1\"\n"
    "ranges = [\"allow 0x08-0x12\", \"deny BR_PRED\", \"allow INST_RETIRED\"]\n";

class FilterRanges : public CommandTest {
 protected:
  /// Quoted.
  std::string file(const std::string& text = kRanges) {
    return "'" + write_text("ranges.toml", text) + "'";
  }
  std::string out(const std::string& name) { return "'" + path(name) + "'"; }

  static void expect_says(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
};

TEST_F(FilterRanges, ExplainNamesTheRangeThatDecides) {
  const auto said = vpmu("filter explain " + file() + " INST_RETIRED BR_PRED 0x40 chain 0x09");
  EXPECT_EQ(said.status, 0) << said.errors;
  expect_says(said.output, "INST_RETIRED                             0x0008   allowed range 2\n");
  expect_says(said.output, "BR_PRED                                  0x0012   denied  range 1\n");
  expect_says(said.output, "L1D_CACHE_RD                             0x0040   denied  default\n");
  expect_says(said.output, "CHAIN                                    0x001e   allowed always\n");
  expect_says(said.output, "EXC_TAKEN                                0x0009   allowed range 0\n");
  expect_says(said.output, "range 0    allow 0x0008-0x0012\n");
  expect_says(said.output, "the first one makes it deny\n");
}

TEST_F(FilterRanges, ExplainWithoutEventsHasEveryNamedOne) {
  const auto said = vpmu("filter explain --json " + file());
  ASSERT_EQ(said.status, 0) << said.errors;
  const auto json = nlohmann::json::parse(said.output);
  EXPECT_EQ(json["default"], "deny");
  const auto& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  ASSERT_EQ(json["events"].size(), model.events.size() + 2);
  EXPECT_EQ(json["events"][0]["name"], "SW_INCR");
  EXPECT_EQ(json["events"][0]["reason"], "always");
}

TEST_F(FilterRanges, ExplainTakesPatternsAndRefusesWhatMatchesNothing) {
  const auto some = vpmu("filter explain " + file() + " 'br_*'");
  expect_says(some.output, "BR_RETIRED");
  const auto none = vpmu("filter explain " + file() + " 'XY*'");
  EXPECT_EQ(none.status, 2);
  expect_says(none.errors, "matches none on neoverse-n1");
}

TEST_F(FilterRanges, CheckWarnsOfWhatDoesNothing) {
  const auto said = vpmu("filter check " + file());
  EXPECT_EQ(said.status, 0) << said.errors;
  expect_says(said.output, "3 ranges, by default deny\n");
  expect_says(said.output, "  neoverse-n1  valid\n");
  expect_says(said.output, "range 2 (allow 0x0008) changes nothing; remove it");
}

TEST_F(FilterRanges, CheckSaysWhatTheKernelRefuses) {
  const std::string a72 = file("cpu = \"cortex-a72\"\nranges = [\"deny 0x3ff-0x400\"]\n");
  const auto said = vpmu("filter check " + a72);
  EXPECT_EQ(said.status, 1);
  expect_says(said.output, "refused: range 0 (deny 0x03ff-0x0400) goes beyond the last event");
  const auto json = nlohmann::json::parse(vpmu("filter check --json " + a72).output);
  EXPECT_EQ(json["valid"], false);
  EXPECT_EQ(json["errno"], "EINVAL");
  EXPECT_EQ(json["range"], 0);
  EXPECT_EQ(vpmu("filter explain " + a72).status, 2);
  EXPECT_EQ(vpmu("filter build -o - " + a72).status, 2);
}

TEST_F(FilterRanges, WhatBuildWritesIsTheSameFilter) {
  const std::string before = vpmu("filter explain " + file()).output;
  for (const std::string format : {"bin", "hex", "json"}) {
    const auto built = vpmu("filter build " + file() + " --format " + format + " -o " + out("f"));
    EXPECT_EQ(built.status, 0) << built.errors;
    expect_says(built.output, "For neoverse-n1: 3 ranges, by default deny.\n");
    const auto said = vpmu("filter explain --cpu neoverse-n1 " + out("f"));
    EXPECT_EQ(said.output, before) << format << said.errors;
  }
}

TEST_F(FilterRanges, BytesNeedACpuAndWrongOnesAreNamed) {
  ASSERT_EQ(vpmu("filter build " + file() + " -o " + out("f.bin")).status, 0);
  EXPECT_EQ(vpmu("filter explain " + out("f.bin")).status, 2);
  EXPECT_EQ(vpmu("filter check --cpu cortex-a72 " + out("f.bin")).status, 0);
  const auto other = vpmu("filter explain --cpu neoverse-v1 " + file());
  EXPECT_EQ(other.status, 2);
  expect_says(other.errors, "is for neoverse-n1, and --cpu says neoverse-v1");
  const auto x86 = vpmu("filter explain --cpu zen4 " + file());
  EXPECT_EQ(x86.status, 2);
  expect_says(x86.errors, "is for AArch64 guests, and --cpu says otherwise");
}

TEST_F(FilterRanges, FiltersOfX86AreNoRanges) {
  const std::string policy =
      "'" + write_text("x86.toml", "cpu = \"icelake-server\"\ndefault = \"deny\"\n") + "'";
  const auto said = vpmu("filter explain --cpu neoverse-n1 " + policy);
  EXPECT_EQ(said.status, 2);
  expect_says(said.errors, "is no filter of ranges");
}

TEST_F(FilterRanges, CommandsThatMakeNoSenseSaySoInOneLine) {
  expect_bad_input("filter check --vendor intel " + file(), "");
}

// ---- diff ---------------------------------------------------------------------------------------

TEST_F(FilterRanges, DiffShowsEveryEventAboutWhichTwoDiffer) {
  const std::string other = "'" +
                            write_text("other.toml",
                                       "cpu = \"neoverse-n1\"\nranges = [\"deny 0x13-0x2f\", "
                                       "\"allow INST_RETIRED\"]\n") +
                            "'";
  const auto same = vpmu("filter diff " + file() + " " + file());
  EXPECT_EQ(same.status, 0) << same.errors;
  EXPECT_EQ(same.output, "");
  const auto said = vpmu("filter diff " + file() + " " + other);
  EXPECT_EQ(said.status, 1) << said.errors;
  expect_says(said.output, "A: " + path("ranges.toml") + "\nB: " + path("other.toml") + "\n\n");
  expect_says(said.output,
              "\nevent                                    number                 A        B\n");
  expect_says(
      said.output,
      "\nBR_PRED                                  0x0012                 denied   allowed\n");
  expect_says(
      said.output,
      "\n(no name)                                0x0030-0xffff          denied   allowed\n");
  EXPECT_EQ(said.output.find("INST_RETIRED"), std::string::npos) << said.output;
  // Both deny it.
  EXPECT_EQ(said.output.find("BR_RETIRED"), std::string::npos) << said.output;
}

TEST_F(FilterRanges, DiffAsJsonHasTheSame) {
  const std::string other =
      "'" + write_text("other.toml", "cpu = \"neoverse-n1\"\nranges = [\"allow 0x08-0x12\"]\n") +
      "'";
  const auto said = vpmu("filter diff --json " + other + " " + file());
  EXPECT_EQ(said.status, 1) << said.errors;
  const auto json = nlohmann::json::parse(said.output);
  EXPECT_EQ(json["filter_diff"], 1);
  EXPECT_EQ(json["cpu"], "neoverse-n1");
  EXPECT_EQ(json["same"], false);
  ASSERT_EQ(json["events"].size(), 1u);
  EXPECT_EQ(json["events"][0]["name"], "BR_PRED");
  EXPECT_EQ(json["events"][0]["event"], 0x12);
  EXPECT_EQ(json["events"][0]["a"], "allowed");
  EXPECT_EQ(json["events"][0]["b"], "denied");
  EXPECT_EQ(json["unnamed"], nlohmann::json::array());
}

TEST_F(FilterRanges, DiffTakesTheCpuOfWhicheverFileSaysIt) {
  ASSERT_EQ(vpmu("filter build " + file() + " -o " + out("f.bin")).status, 0);
  EXPECT_EQ(vpmu("filter diff " + file() + " " + out("f.bin")).status, 0);
  EXPECT_EQ(vpmu("filter diff " + out("f.bin") + " " + file()).status, 0);
  EXPECT_EQ(vpmu("filter diff --cpu cortex-a72 " + out("f.bin") + " " + out("f.bin")).status, 0);
  expect_bad_input("filter diff " + out("f.bin") + " " + out("f.bin"), "give --cpu");
  expect_bad_input("filter diff --cpu cortex-a72 " + out("f.bin") + " " + file(),
                   "is for neoverse-n1, and --cpu says cortex-a72");
  const std::string a72 = "'" + write_text("a72.toml", "cpu = \"cortex-a72\"\nranges = []\n") + "'";
  expect_bad_input("filter diff " + file() + " " + a72,
                   "a72.toml' for cortex-a72; give two filters for the same CPU");
  const std::string x86 =
      "'" + write_text("x86.toml", "cpu = \"icelake-server\"\ndefault = \"deny\"\n") + "'";
  expect_bad_input("filter diff " + file() + " " + x86, "x86.toml': is no filter of ranges");
  expect_bad_input("filter diff --cpu zen4 " + x86 + " " + file(),
                   "x86.toml': is for x86 guests, and the other one for AArch64 guests");
  expect_bad_input("filter diff " + file() + " " + out("missing"), "No such file");
  const std::string beyond =
      "'" + write_text("beyond.toml", "cpu = \"cortex-a72\"\nranges = [\"deny 0x3ff-0x400\"]\n") +
      "'";
  expect_bad_input("filter diff " + a72 + " " + beyond, "goes beyond the last event of cortex-a72");
}

TEST(RangeDifferences, EventsThatNoFilterKeepsAreNone) {
  const auto& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  const virt::arm64::EventFilter everything{model.pmu.version};
  virt::arm64::EventFilter nothing{model.pmu.version};
  ASSERT_TRUE(nothing.set({.base_event = 0, .nevents = 0xffff, .action = 1}));
  ASSERT_TRUE(nothing.set({.base_event = 0xffff, .nevents = 1, .action = 1}));
  const auto found = cli::filter::differences(everything, nothing, model);
  EXPECT_EQ(found.named.size(), model.events.size());
  using Unnamed = cli::filter::RangeDifferences::Unnamed;
  ASSERT_EQ(found.unnamed.size(), 2u);
  EXPECT_EQ(found.unnamed[0], (Unnamed{0x01, 0x1d, true}));
  EXPECT_EQ(found.unnamed[1], (Unnamed{0x1f, 0xffff, true}));
}

// ---- test ---------------------------------------------------------------------------------------

TEST_F(FilterRanges, TestOnAKernelNeedsOneOfAnAArch64Host) {
  // Whatever this host is, it is none.
  const std::string needs =
      "is for AArch64 guests, and the KVM of an AArch64 host has to be asked: ";
#ifndef __aarch64__
  expect_bad_input("filter test --kvm " + file(), "ranges.toml': " + needs);
  ASSERT_EQ(vpmu("filter build " + file() + " -o " + out("f.bin")).status, 0);
  expect_bad_input("filter test --kvm --cpu cortex-a72 " + out("f.bin"), "f.bin': " + needs);
#endif
  expect_bad_input("filter test --kvm --cpu zen4 " + file(),
                   "--cpu: CPU 'zen4' is no AArch64 model; give one of: ");
  expect_bad_input("filter test --kvm --cpu cortex-a72 " + file(), "is for neoverse-n1");
}

TEST_F(FilterRanges, EventsOfAModelAreListed) {
  const auto said = vpmu("filter list-events --cpu neoverse-v1 'OP_*'");
  EXPECT_EQ(said.status, 0) << said.errors;
  expect_says(said.output, "OP_RETIRED                               0x003a\n");
  EXPECT_EQ(said.output.find("INST_RETIRED"), std::string::npos);
  const auto json =
      nlohmann::json::parse(vpmu("filter list-events --json --cpu cortex-a72").output);
  EXPECT_EQ(json["events"].size(), silicon::arm64::find_cpu_model("cortex-a72")->events.size() + 2);
}

}  // namespace
}  // namespace vpmu::test
