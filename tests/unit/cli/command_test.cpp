// SPDX-License-Identifier: MIT
//
// The command as its users meet it: started as a process, judged by what it prints and by its exit
// status.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

TEST_F(CommandTest, ConsoleGoesToStandardOutputAndTheSummaryToStandardError) {
  const Result result = vpmu("run '" + guest(print('h') + print('i') + debug_exit(0)) + "'");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "hi");
  EXPECT_NE(result.errors.find("debug-exit 0"), std::string::npos) << result.errors;
}

TEST_F(CommandTest, LimitsEndARunWithStatus124) {
  const std::string endless = "run '" + guest(forever()) + "' ";
  EXPECT_EQ(vpmu(endless + "--max-instructions 100000").status, 124);
  EXPECT_EQ(vpmu(endless + "--timeout 0.05").status, 124);
  EXPECT_EQ(vpmu("run '" + guest(halt()) + "'").status, 124);
}

TEST_F(CommandTest, CrashPrintsRegistersAndCodeWithStatus125) {
  const Result result = vpmu("run '" + guest({0x0f, 0x0b}) + "'");
  EXPECT_EQ(result.status, 125);
  EXPECT_NE(result.errors.find("RIP=0000000000100000"), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("ud2"), std::string::npos) << result.errors;
}

TEST_F(CommandTest, CtrlCEndsTheRunWithTheReportAndStatus130) {
  const std::string file = guest(forever());
  // An interrupt a moment after the start.
  const std::string line = std::string{"'" VPMU_COMMAND "' run '"} + file + "' --json '" +
                           path("report") + "' < /dev/null 2> /dev/null & pid=$!; sleep 0.3; " +
                           "kill -INT $pid; wait $pid";
  // A shell without job control ignores SIGINT in what it starts in the background: bash -m.
  std::ofstream{path("script")} << line << "\n";
  const int status = std::system(("bash -m '" + path("script") + "' 2> /dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["outcome"]["reason"], "interrupted");
}

TEST_F(CommandTest, UnknownCommandsAreNamedWithTheHelpThatListsTheKnownOnes) {
  const auto error = [&](const std::string& line) {
    const Result result = vpmu(line);
    EXPECT_EQ(result.status, 2) << line;
    return result.errors;
  };
  EXPECT_EQ(error("frob"), "vpmu: 'frob' is not a command; see `vpmu --help`\n");
  EXPECT_EQ(error("cpu frob"), "vpmu: 'cpu frob' is not a command; see `vpmu cpu --help`\n");
  EXPECT_EQ(error("filter frob"),
            "vpmu: 'filter frob' is not a command; see `vpmu filter --help`\n");
  EXPECT_NE(error("filter").find("see `vpmu filter --help`"), std::string::npos);
  EXPECT_NE(error("cpu show --frob").find("see `vpmu cpu show --help`"), std::string::npos);
}

TEST_F(CommandTest, JsonGoesToAFileOrBehindTheConsole) {
  const std::string run = "run '" + guest(print('x') + debug_exit(3)) + "' ";
  ASSERT_EQ(vpmu(run + "--json '" + path("report") + "'").status, 7);
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["outcome"]["status"], 7);

  const Result both = vpmu(run + "--json -");
  ASSERT_FALSE(both.output.empty());
  EXPECT_EQ(both.output[0], 'x');
  EXPECT_EQ(both.output.substr(1), content(path("report"))) << "the same bytes";
}

TEST_F(CommandTest, ReportThatCannotBeWrittenIsAnError) {
  const std::string run = "run '" + guest(debug_exit(0)) + "' ";
  const Result full = vpmu(run + "--json /dev/full");
  EXPECT_EQ(full.status, 2);
  EXPECT_NE(full.errors.find("/dev/full"), std::string::npos);
  EXPECT_EQ(vpmu(run + "--json '" + path("no/such/folder") + "'").status, 2);
}

TEST_F(CommandTest, TraceShowsWhatWasAskedFor) {
  const std::string run = "run '" + guest(wrmsr(0x38f, 1) + debug_exit(0)) + "' ";
  const Result msr = vpmu(run + "--trace msr");
  EXPECT_NE(msr.errors.find("wrmsr 0x38f = 0x1"), std::string::npos) << msr.errors;
  EXPECT_EQ(msr.errors.find("exit port-io"), std::string::npos);
  EXPECT_NE(vpmu(run + "--trace exit,irq").errors.find("exit port-io"), std::string::npos);
}

TEST_F(CommandTest, BadUsageIsOneLineAndStatus2) {
  expect_bad_input("", "subcommand");
  expect_bad_input("run", "GUEST");
  expect_bad_input("frobnicate", "frobnicate");
  const std::string run = "run '" + guest(debug_exit(0)) + "' ";
  expect_bad_input(run + "--no-such-option", "--no-such-option");
  expect_bad_input(run + "--cpu z80", "'z80'");
  expect_bad_input(run + "--mem lots", "'lots'");
  expect_bad_input(run + "--mem 4K", "1 MiB");
  expect_bad_input(run + "--smp 0", "--smp");
  expect_bad_input(run + "--smp 1000", "--smp");
  expect_bad_input(run + "--pmu maybe", "--pmu");
  expect_bad_input(run + "--pmu version=1,fixed=3", "version 1 has no fixed counters");
  expect_bad_input(run + "--timeout -1", "--timeout");
  expect_bad_input(run + "--quantum 0", "--quantum");
  expect_bad_input(run + "--max-instructions x", "--max-instructions");
  expect_bad_input(run + "--trace everything", "--trace");
  expect_bad_input("cpu show z80", "'z80' is not known; give one of: haswell-server, ");
}

TEST_F(CommandTest, BadImagesAreOneLineAndStatus2) {
  expect_bad_input("run '" + path("missing") + "'", "missing': No such file");
  expect_bad_input("run '" + write("empty", {}) + "'", "is empty");
  expect_bad_input("run '" + write("text", {'h', 'e', 'l', 'l', 'o'}) + "'", "neither an ELF");
  expect_bad_input("run '" + folder.string() + "'", "is a directory");
  FileBytes file = freestanding_elf().build();
  file.resize(file.size() - 1);
  expect_bad_input("run '" + write("short", file) + "'", "truncated");
  auto large = freestanding_elf();
  large.parts[0].header.p_memsz = 1 << 30;
  expect_bad_input("run '" + write("large", large.build()) + "'", "--mem");
  auto other = freestanding_elf();
  other.header.e_machine = EM_RISCV;
  expect_bad_input("run '" + write("other", other.build()) + "'", "RISC-V");
  const std::string good = guest(debug_exit(0));
  expect_bad_input("run '" + good + "' --initrd '" + path("missing") + "'", "initrd");
}

/// Denies branches (on any counter) and fixed counter 0.
constexpr const char* kDenyBranches =
    R"({"action": "deny", "flags": 0, "fixed_counter_bitmap": 1, "events": ["0xc0ffee", "0xc4"]})";

/// Counter 0 counts branches; fixed counters 0 and 1 count.
Code counting_branches() {
  return wrmsr(0x186, 0x4300c4) + wrmsr(0x38d, 0x33) + wrmsr(0x38f, 1 | std::uint64_t{3} << 32) +
         forever();
}

TEST_F(CommandTest, FilterSaysWhatItDeniedAndWhy) {
  const std::string filter = write_text("deny.json", kDenyBranches);
  const Result result = vpmu("run '" + guest(counting_branches()) + "' --filter '" + filter +
                             "' --max-instructions 1000 --json '" + path("report") + "'");
  EXPECT_EQ(result.status, 124);
  EXPECT_NE(result.errors.find("event 0xc4 (umask 0x00) is denied by entry 1 of filter '" + filter +
                               "': the counter stands still\n"),
            std::string::npos)
      << result.errors;
  EXPECT_NE(result.errors.find("fixed counter 0 is denied by the fixed counter bitmap of filter '" +
                               filter + "'"),
            std::string::npos)
      << result.errors;
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  const auto& still = json["vcpus"][0]["counters_not_counting"];
  ASSERT_EQ(still.size(), 2u);
  EXPECT_EQ(still[0]["counter"], "pmc0");
  EXPECT_EQ(still[0]["filter"], filter);
  EXPECT_EQ(still[0]["entry"], 1);
  EXPECT_EQ(still[1]["counter"], "fixed0");
  EXPECT_TRUE(still[1]["entry"].is_null());
  ASSERT_EQ(json["event_filter"].size(), 1u);
  const auto& reported = json["event_filter"][0];
  EXPECT_EQ(reported["file"], filter);
  EXPECT_EQ(reported["since_instruction"], 0);
  EXPECT_EQ(reported["action"], "deny");
  EXPECT_EQ(reported["entries"], 2);
  EXPECT_EQ(reported["denied"], 2);
  EXPECT_EQ(reported["denied_by"][0]["entry"], 1);
  EXPECT_EQ(reported["denied_by"][0]["count"], 1);
  ASSERT_EQ(reported["denials"].size(), 2u);
  EXPECT_EQ(reported["denials"][0]["name"], "BR_INST_RETIRED.ALL_BRANCHES");
  EXPECT_EQ(reported["denials"][1]["reason"], "fixed counter bitmap");
}

TEST_F(CommandTest, FilterAtFreezesACounterAndLetsItGoOn) {
  const std::string filter = write_text("deny.json", kDenyBranches);
  const std::string run = "run '" + guest(counting_branches()) + "' --max-instructions 1000000 " +
                          "--filter-at '300000=" + filter + "' --filter-at 700000=none --json '";
  ASSERT_EQ(vpmu(run + path("one") + "'").status, 124);
  const auto json = nlohmann::json::parse(content(path("one")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  // All but the first twelve instructions are branches.
  EXPECT_EQ(json["vcpus"][0]["counters"][0]["value"], 300'000 - 12 + 300'000);
  EXPECT_EQ(json["vcpus"][0]["counters"][0]["status"], "counting");
  EXPECT_EQ(json["event_filter"][1]["file"], "none");
  EXPECT_EQ(json["event_filter"][1]["since_instruction"], 700'000);

  // The same again, and cut in two where the filter takes effect and while it is in force.
  ASSERT_EQ(vpmu(run + path("two") + "'").status, 124);
  EXPECT_EQ(content(path("two")), content(path("one")));
  for (const std::string at : {"300000", "400000"}) {
    ASSERT_EQ(vpmu(run + path("ignored") + "' --save-at '" + at + "=" + path("saved") + "'").status,
              124);
    ASSERT_EQ(vpmu("run --restore '" + path("saved") + "' --max-instructions 1000000 " +
                   "--filter-at 700000=none --json '" + path("moved") + "'")
                  .status,
              124);
    EXPECT_EQ(content(path("moved")), content(path("one"))) << "saved at " << at;
  }
}

TEST_F(CommandTest, OptionsForArm64GuestsAreRefusedAlsoForASnapshot) {
  const std::string run = "run '" + guest(forever()) + "' --max-instructions 1000 ";
  ASSERT_EQ(vpmu(run + "--save-at '1000=" + path("saved") + "'").status, 124);
  for (const std::string option :
       {"--guest-spe off", "--spe-cpus 0", "--spe-supported 0", "--spe-at 2000=trap"}) {
    const std::string name = option.substr(0, option.find(' '));
    const std::string says = name + ": is for arm64 guests, and this one is for x86; leave it out";
    expect_bad_input(run + option, says);
    expect_bad_input("run --restore '" + path("saved") + "' " + option, says);
  }
}

TEST_F(CommandTest, FilterReplacesTheOneInASnapshot) {
  const std::string filter = write_text("deny.json", kDenyBranches);
  ASSERT_EQ(vpmu("run '" + guest(counting_branches()) + "' --filter '" + filter +
                 "' --max-instructions 1000 --save-at '1000=" + path("saved") + "'")
                .status,
            124);
  ASSERT_EQ(vpmu("run --restore '" + path("saved") + "' --filter none --max-instructions 3000 " +
                 "--json '" + path("report") + "'")
                .status,
            124);
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["vcpus"][0]["counters"][0]["value"], 2'000);
  EXPECT_EQ(json["event_filter"].size(), 2u);
  EXPECT_EQ(json["event_filter"][1]["since_instruction"], 1'000);
}

TEST_F(CommandTest, BadFiltersAreOneLineAndStatus2BeforeTheGuestRuns) {
  const std::string run = "run '" + guest(print('x') + forever()) + "' --max-instructions 1000 ";
  const std::string good = "'" + write("good", FileBytes(32, 0)) + "'";
  EXPECT_EQ(vpmu(run + "--filter " + good).status, 124);
  expect_bad_input(run + "--filter '" + path("missing") + "'", "missing': No such file");
  expect_bad_input(run + "--filter ''", "No such file");
  expect_bad_input(run + "--filter '" + write("empty", {}) + "'", "is empty");
  expect_bad_input(run + "--filter-at '500=" + write("short", FileBytes(31, 0)) + "'", "EFAULT");
  FileBytes action(32, 0);
  action[0] = 2;
  expect_bad_input(run + "--filter '" + write("action", action) + "'", "EINVAL");
  const std::string amd = R"({"action": "allow", "flags": 1, "fixed_counter_bitmap": 0,
                              "events": ["0xff000001000000c2"]})";
  const std::string for_amd = "'" + write_text("amd.json", amd) + "'";
  expect_bad_input(run + "--filter " + for_amd, "entry 0");
  EXPECT_EQ(vpmu(run + "--cpu zen4 --filter " + for_amd).status, 124);

  expect_bad_input(run + "--filter-at 500", "--filter-at '500'");
  expect_bad_input(run + "--filter-at 500=", "--filter-at '500='");
  expect_bad_input(run + "--filter-at x=none", "--filter-at 'x=none'");
  expect_bad_input(run + "--filter-at -1=none", "--filter-at '-1=none'");
  expect_bad_input(run + "--filter-at 500=none --filter-at 500=" + good, "the same instruction");
  expect_bad_input(run + "--filter none --filter-at 0=" + good, "the same instruction");
  expect_bad_input(run + "--filter none --filter " + good, "--filter");
  expect_bad_input(run + "--pmu off --filter " + good, "--pmu off");
  expect_bad_input(run + "--pmu off --filter-at 500=" + good, "--pmu off");
}

TEST_F(CommandTest, FilterMayBeAPolicyForTheGuestsCpu) {
  const std::string text = "cpu = \"icelake-server\"\nallow = [\"INST_RETIRED.ANY\"]\n";
  const std::string policy = write_text("policy.toml", text);
  const std::string run =
      "run '" + guest(counting_branches()) + "' --filter '" + policy + "' --max-instructions 1000 ";
  const Result result = vpmu(run + "--json '" + path("report") + "'");
  EXPECT_EQ(result.status, 124) << result.errors;
  EXPECT_NE(result.errors.find("event 0xc4 (umask 0x00) is in no entry of filter '" + policy),
            std::string::npos)
      << result.errors;
  const auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  // The policy allows fixed counter 0 with the event that it counts, and not fixed counter 1.
  const auto& still = json["vcpus"][0]["counters_not_counting"];
  ASSERT_EQ(still.size(), 2u);
  EXPECT_EQ(still[0]["counter"], "pmc0");
  EXPECT_EQ(still[0]["reason"], "not included");
  EXPECT_EQ(still[1]["counter"], "fixed1");

  expect_bad_input(run + "--cpu zen4", "its policy is for icelake-server");
  expect_bad_input(run + "--cpu skylake-server", "its policy is for icelake-server");
  const std::string wrong = write_text("wrong.toml", text + "deny = [\"INST_RETIRED.AMY\"]\n");
  expect_bad_input("run '" + guest(forever()) + "' --filter-at '5=" + wrong + "'",
                   "INST_RETIRED.AMY");
}

TEST_F(CommandTest, LimitsEndARunBeforeItsNextFilterToo) {
  const std::string run = "run '" + guest(forever()) + "' --filter-at 9000000000000=none ";
  const Result result = vpmu(run + "--timeout 0.05");
  EXPECT_EQ(result.status, 124);
  EXPECT_NE(result.errors.find("time-limit"), std::string::npos) << result.errors;
}

TEST_F(CommandTest, FilterAtBehindTheEndIsAnError) {
  const Result result = vpmu("run '" + guest(debug_exit(0)) + "' --filter-at 500=none --json '" +
                             path("report") + "'");
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.errors.find("the guest ended after 2 instructions"), std::string::npos)
      << result.errors;
  EXPECT_NE(content(path("report")), "");
}

TEST_F(CommandTest, HelpAndVersionGoToStandardOutput) {
  EXPECT_EQ(vpmu("--version").output.rfind("vpmu ", 0), 0u);
  const Result help = vpmu("run --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.output.find("--max-instructions"), std::string::npos);
  EXPECT_EQ(vpmu("cpu list").status, 0);
  EXPECT_EQ(vpmu("cpu show icelake-server").status, 0);
  EXPECT_EQ(vpmu("cpu show zen4 --events").output.rfind("name ", 0), 0u);
}

}  // namespace
}  // namespace vpmu::test
