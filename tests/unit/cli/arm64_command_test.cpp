// SPDX-License-Identifier: MIT
//
// `vpmu run` of AArch64 guests, as a process: what it refuses, and event filters.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

const std::string kGuest = "'" VPMU_ARM64_GUESTS "/hello.elf'";
/// Reads what a filter denies of branches; see the guest for its options.
const std::string kFiltered = "'" VPMU_ARM64_GUESTS "/pmu_filtered.elf' --append events=12,21";

class Arm64CommandTest : public CommandTest {
 protected:
  std::string policy(const std::string& cpu, const std::string& ranges) {
    return write_text("filter.toml", "cpu = \"" + cpu + "\"\nranges = [" + ranges + "]\n");
  }
  nlohmann::json report() { return nlohmann::json::parse(content(path("report")), nullptr, false); }
};

TEST_F(Arm64CommandTest, OptionsThatCannotBeAreOneLineAndStatus2) {
  struct Case {
    const char* options;
    const char* says;
  };
  const Case cases[] = {
      {"--pv-perf on", "--pv-perf: is for x86 guests, and this one is for arm64; leave it out"},
      {"--pv-perf-raw any", "--pv-perf-raw: is for x86 guests"},
      {"--host-cpu zen4",
       "--host-cpu 'zen4': is none of the CPU models of an arm64 guest; give one of armv8.5, "
       "cortex-a72, neoverse-n1, neoverse-v1"},
      {"--host-cpu cortex-a72",
       "a guest of neoverse-n1 with a PMU cannot run on a host of cortex-a72: give --pmu off, and "
       "count from outside"},
      {"--host-script any", "host script 'any': No such file or directory"},
      {"--host-event cyclez",
       "--host-event: event 'cyclez' is not known on neoverse-n1; names like it: cycles"},
      {"--host-event ref-cycles", "--host-event: event 'ref-cycles': neoverse-n1 has none"},
      {"--host-event cycles:p", "--host-event: event 'cycles:p': modifier 'p' is for samples"},
      {"--host-event r0c", "host event 'r0c': the CPU model cannot count it"},
      {"--filter-at none", "--filter-at 'none': give a number of instructions and a file"},
      {"--filter-at 5=none --filter-at 5=none", "are at the same instruction; leave one of them"},
      {"--filter-at 0=none --filter none", "are at the same instruction; leave one of them"},
      {"--pmu off --filter-at 5=none", "--filter-at: the guest has no PMU (--pmu off)"},
      {"--save-at any", "--save-at"},
      {"--cpu icelake-server",
       "--cpu 'icelake-server': is none of the CPU models of an arm64 "
       "guest; give one of armv8.5, cortex-a72, neoverse-n1, neoverse-v1"},
      {"--cpu ''", "--cpu '': is none of the CPU models"},
      {"--mem much", "--mem: "},
      {"--pmu gp=2", "--pmu: 'gp' is none of on, off, version, counters"},
      {"--smp 9", "1 to 8"},
      {"--pmu off --filter none", "--filter: the guest has no PMU (--pmu off)"},
  };
  for (const Case& each : cases) expect_bad_input("run " + kGuest + " " + each.options, each.says);
}

TEST_F(Arm64CommandTest, OtherCommandsRefuseTheSame) {
  for (const char* command : {"stat ", "record "}) {
    expect_bad_input(command + kGuest + " --filter-at '5=" + path("missing") + "'", "No such file");
    expect_bad_input(command + kGuest + " --filter '" + path("missing") + "'", "No such file");
  }
}

TEST_F(Arm64CommandTest, FilterSaysWhatItDeniedAndWhy) {
  const std::string filter = policy("neoverse-n1", R"("deny BR_RETIRED", "deny 0x10-0x12",
                                                      "allow CPU_CYCLES")");
  const Result result =
      vpmu("run " + kFiltered + " --filter '" + filter + "' --json '" + path("report") + "'");
  EXPECT_EQ(result.status, 1) << result.output << result.errors;
  EXPECT_NE(result.errors.find("vpmu: vCPU 0: event 0x0012 is denied by range 1 of filter '" +
                               filter + "': the counter stands still\n"),
            std::string::npos)
      << result.errors;
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  const auto& still = json["vcpus"][0]["counters_not_counting"];
  ASSERT_EQ(still.size(), 1u);
  EXPECT_EQ(still[0]["counter"], "event0");
  EXPECT_EQ(still[0]["status"], "denied");
  EXPECT_EQ(still[0]["filter"], filter);
  EXPECT_EQ(still[0]["range"], 0);
  EXPECT_EQ(still[0]["reason"], "range");
  ASSERT_EQ(json["event_filter"].size(), 1u);
  const auto& reported = json["event_filter"][0];
  EXPECT_EQ(reported["file"], filter);
  EXPECT_EQ(reported["since_instruction"], 0);
  EXPECT_EQ(reported["default"], "allow");
  EXPECT_EQ(reported["ranges"], 3);
  // BR_RETIRED is enabled three times, the last time to the end, BR_PRED twice.
  EXPECT_EQ(reported["denied"], 5);
  ASSERT_EQ(reported["denied_by"].size(), 2u);
  EXPECT_EQ(reported["denied_by"][0]["value"], "deny 0x0021");
  EXPECT_EQ(reported["denied_by"][0]["count"], 3);
  EXPECT_EQ(reported["denied_by"][1]["range"], 1);
  EXPECT_EQ(reported["denied_by"][1]["count"], 2);
  ASSERT_EQ(reported["denials"].size(), 2u);
  EXPECT_EQ(reported["denials"][0]["name"], "BR_RETIRED");
  EXPECT_EQ(reported["denials"][1]["event"], "0x0012");
}

TEST_F(Arm64CommandTest, TraceHasALineForEverythingThatWasAskedFor) {
  const std::string guest =
      "run '" VPMU_ARM64_GUESTS "/pmu_interrupts.elf' --json '" + path("report") + "' --trace ";
  const Result registers = vpmu(guest + "msr");
  EXPECT_EQ(registers.status, 1) << registers.output;
  EXPECT_NE(registers.errors.find(": mrs PMCR_EL0 -> 0x"), std::string::npos);
  EXPECT_NE(registers.errors.find(": msr PMCNTENSET_EL0 = 0x"), std::string::npos);
  EXPECT_NE(registers.errors.find(": mrs ICC_IAR1_EL1 -> 0x17\n"), std::string::npos);
  EXPECT_EQ(registers.errors.find(": exit "), std::string::npos);
  EXPECT_EQ(registers.errors.find(": interrupt "), std::string::npos);

  const std::string plain = content(path("report"));
  const Result others = vpmu(guest + "exit,irq");
  EXPECT_EQ(content(path("report")), plain);
  EXPECT_NE(others.errors.find("vcpu 0 @"), std::string::npos);
  EXPECT_NE(others.errors.find(": interrupt 23\n"), std::string::npos);
  std::size_t exits = 0;
  for (std::size_t at = 0; (at = others.errors.find(": exit ", at)) != std::string::npos; ++at) {
    ++exits;
  }
  EXPECT_EQ(exits, report()["vcpus"][0]["exits"]["count"]);
}

TEST_F(Arm64CommandTest, TraceNamesTheInstructionAndWhatBecameOfIt) {
  const Result user = vpmu("run '" VPMU_ARM64_GUESTS "/pmu_userenr.elf' --trace msr");
  EXPECT_NE(user.errors.find(" -> trap\n"), std::string::npos);
  // What is not there for a PMU of fewer counters.
  const Result few = vpmu("run '" VPMU_ARM64_GUESTS "/pmu_registers.elf' --trace msr");
  EXPECT_NE(few.errors.find(" -> undefined\n"), std::string::npos);
  EXPECT_NE(few.errors.find(" pc 402"), std::string::npos);
}

TEST_F(Arm64CommandTest, FiltersChangeWhileTheGuestRuns) {
  const std::string denies = policy("neoverse-n1", R"("deny INST_RETIRED")");
  const Result result = vpmu(
      "run '" VPMU_ARM64_GUESTS "/pmu_smp.elf' --smp 2 --filter none --filter-at '50000=" + denies +
      "' --filter-at 400000=none --json '" + path("report") + "'");
  EXPECT_EQ(result.status, 3) << result.output << result.errors;  // which the guest notices
  EXPECT_NE(result.errors.find("is denied by range 0 of filter '" + denies + "'"),
            std::string::npos)
      << result.errors;
  const auto filters = report()["event_filter"];
  ASSERT_EQ(filters.size(), 3u);
  EXPECT_EQ(filters[0]["file"], "none");
  EXPECT_EQ(filters[1]["file"], denies);
  EXPECT_EQ(filters[1]["since_instruction"], 50'000);
  EXPECT_GT(filters[1]["denied"].get<unsigned>(), 0u);
  EXPECT_EQ(filters[2]["since_instruction"], 400'000);
  EXPECT_TRUE(filters[2]["default"].is_null());
}

TEST_F(Arm64CommandTest, FilterBehindTheEndIsAnError) {
  const Result result = vpmu("run " + kGuest + " --filter-at 1000000000=none");
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.errors.find("--filter-at 1000000000=none: the guest ended after "),
            std::string::npos)
      << result.errors;
}

TEST_F(Arm64CommandTest, WhatNoRangeCoversIsDeniedByDefault) {
  const std::string filter = policy("neoverse-n1", R"("allow INST_RETIRED")");
  const Result result =
      vpmu("run '" VPMU_ARM64_GUESTS "/pmu_filtered.elf' --append 'events=8 allow=1' --filter '" +
           filter + "' --json '" + path("report") + "'");
  EXPECT_EQ(result.status, 1) << result.output << result.errors;
  EXPECT_NE(result.errors.find("event 0x0011 is in no range of filter '" + filter + "'"),
            std::string::npos)
      << result.errors;
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  const auto& reported = json["event_filter"][0];
  EXPECT_EQ(reported["default"], "deny");
  ASSERT_EQ(reported["denied_by"].size(), 1u);
  EXPECT_TRUE(reported["denied_by"][0]["range"].is_null());
  EXPECT_EQ(reported["denied_by"][0]["reason"], "default");
  EXPECT_EQ(reported["denied_by"][0]["count"], reported["denied"]);
}

TEST_F(Arm64CommandTest, FilterIsEveryVcpus) {
  const std::string filter = policy("neoverse-n1", R"("deny INST_RETIRED")");
  // The guest finds that its counters stand still, and says so.
  const Result result = vpmu("run '" VPMU_ARM64_GUESTS "/pmu_smp.elf' --smp 3 --filter '" + filter +
                             "' --json '" + path("report") + "'");
  EXPECT_EQ(result.status, 3) << result.output << result.errors;
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  std::set<unsigned> vcpus;
  for (const auto& denial : json["event_filter"][0]["denials"]) {
    EXPECT_EQ(denial["name"], "INST_RETIRED");
    vcpus.insert(denial["vcpu"].get<unsigned>());
  }
  EXPECT_EQ(vcpus, (std::set<unsigned>{0, 1, 2}));
}

TEST_F(Arm64CommandTest, TheSameRunIsTheSameReportByteForByte) {
  const std::string run = "run '" VPMU_ARM64_GUESTS
                          "/pmu_smp.elf' --smp 2 --quantum 13 --filter '" +
                          policy("neoverse-n1", R"("deny BR_PRED")") + "' --json '";
  const Result first = vpmu(run + path("one") + "'");
  const Result second = vpmu(run + path("two") + "'");
  EXPECT_EQ(first.status, 3) << first.output << first.errors;  // which the guest notices
  EXPECT_EQ(second.status, first.status);
  EXPECT_EQ(second.output, first.output);
  EXPECT_NE(content(path("one")), "");
  EXPECT_EQ(content(path("two")), content(path("one")));
}

TEST_F(Arm64CommandTest, NoFilterDeniesNothing) {
  ASSERT_EQ(vpmu("run " + kGuest + " --json '" + path("report") + "'").status, 1);
  EXPECT_EQ(report()["event_filter"], nlohmann::json::array());
  ASSERT_EQ(vpmu("run " + kGuest + " --filter none --json '" + path("report") + "'").status, 1);
  EXPECT_EQ(
      report()["event_filter"],
      nlohmann::json::parse(R"([{"file": "none", "since_instruction": 0, "default": null}])"));
}

TEST_F(Arm64CommandTest, FilterOfAnotherKindIsOneLineAndStatus2) {
  const std::string run = "run " + kGuest + " --filter '";
  const std::string x86 = "is for x86 guests, and this one is for arm64; give a filter of ranges";
  const std::string image = write("image", FileBytes(32, 0));
  const std::string json = write_text("json", R"({"action": "deny", "flags": 0,
                                       "fixed_counter_bitmap": 0, "events": ["0xc4"]})");
  const std::string x86_policy =
      write_text("x86.toml", "cpu = \"icelake-server\"\nallow = [\"INST_RETIRED.ANY\"]\n");
  for (const std::string& file : {image, json, x86_policy}) expect_bad_input(run + file + "'", x86);

  const std::string ranges = policy("cortex-a72", R"("deny BR_PRED")");
  expect_bad_input(run + ranges + "'", "is for cortex-a72, and this guest's CPU is neoverse-n1");
  EXPECT_EQ(vpmu(run + ranges + "' --cpu cortex-a72").status, 1);
  expect_bad_input("run '" + guest(forever()) + "' --filter '" + ranges + "'",
                   "is a filter of ranges, for AArch64 guests; give one for x86's");
}

TEST_F(Arm64CommandTest, BadFiltersAreOneLineAndStatus2) {
  const std::string run = "run " + kGuest + " --filter '";
  expect_bad_input(run + path("missing") + "'", "missing': No such file");
  expect_bad_input(run + write("empty", {}) + "'", "is empty");
  expect_bad_input(run + write("short", FileBytes(9, 0)) + "'",
                   "it has 9 bytes, and a range has 8");
  expect_bad_input(run + write("action", {8, 0, 1, 0, 2, 0, 0, 0}) + "'", "EINVAL");
  expect_bad_input(run + policy("neoverse-n1", R"("deny NO_SUCH")") + "'", "NO_SUCH");
  const std::string beyond = write("beyond", {0, 4, 1, 0, 1, 0, 0, 0});  // 0x400 of 10 bits
  expect_bad_input(run + beyond + "' --cpu cortex-a72", "goes beyond the last event of cortex-a72");
  EXPECT_EQ(vpmu(run + beyond + "'").status, 1);
}

/// An Image has no symbols; the guest's own are as good.
TEST_F(Arm64CommandTest, RecordingOfALinuxImageSaysThatItHasNoSymbolsUnlessTheyAreGiven) {
  // SYSTEM_OFF of PSCI by HVC, behind the header.
  const Code code{0x10, 0x00, 0x00, 0x14};
  const Code off{0x00, 0x01, 0x80, 0xd2, 0x00, 0x80, 0xb0, 0xf2, 0x02, 0x00, 0x00, 0xd4};
  FileBytes image = linux_image(0, 4096, 0b10);
  std::copy(code.begin(), code.end(), image.begin());
  std::copy(off.begin(), off.end(), image.begin() + 64);
  const std::string line =
      "record '" + write("Image", image) + "' -e instructions -c 1 -o '" + path("profile") + "' ";
  const Result without = vpmu(line);
  EXPECT_EQ(without.status, 0) << without.errors;
  EXPECT_NE(without.errors.find("no symbols: image '"), std::string::npos) << without.errors;
  EXPECT_NE(without.errors.find("or its symbols with --guest-kallsyms"), std::string::npos)
      << without.errors;

  const std::string kallsyms = write_text("kallsyms", "0000000040000000 T _text\n");
  const Result with = vpmu(line + "--guest-kallsyms '" + kallsyms + "'");
  EXPECT_EQ(with.status, 0) << with.errors;
  EXPECT_EQ(with.errors.find("no symbols"), std::string::npos) << with.errors;
}

}  // namespace
}  // namespace vpmu::test
