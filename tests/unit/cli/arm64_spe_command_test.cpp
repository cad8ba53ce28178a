// SPDX-License-Identifier: MIT
//
// `vpmu run --spe-at` of AArch64 guests, as a process: what it refuses, what a stopped guest
// records, and guests that are not entered.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class Arm64SpeCommandTest : public CommandTest {
 protected:
  /// Samples one operation in 1,024, from about instruction 126,000 to its end at 12 million.
  const std::string run =
      "run '" VPMU_ARM64_GUESTS "/workload.elf' --guest-spe on --append 'rounds=1 spe=1024' ";
  static constexpr const char* kSum = "checksum c9c6fb7952813e99";

  std::string dump(const char* name) {
    return std::string{"--spe-dump '"}.append(path(name)).append("' ");
  }
  std::string file() { return "'" + path("saved") + "' "; }
};

TEST_F(Arm64SpeCommandTest, OptionsThatCannotBeAreOneLineAndStatus2) {
  struct Case {
    const char* options;
    const char* says;
  };
  const Case cases[] = {
      {"--spe-at 5", "--spe-at '5': give a number of instructions and trap, exit or resume, as "},
      {"--spe-at 5=", "--spe-at '5=': give a number of instructions and trap, exit or resume"},
      {"--spe-at =trap", "--spe-at '=trap': give a number of instructions"},
      {"--spe-at -5=trap", "--spe-at '-5=trap': give a number of instructions"},
      {"--spe-at 99999999999999999999=trap", "give a number of instructions"},
      {"--spe-at 5=TRAP", "--spe-at '5=TRAP': give trap, exit or resume behind ="},
      {"--spe-at 5=trap,exit", "--spe-at '5=trap,exit': give trap, exit or resume behind ="},
      {"--spe-at 5=trap --spe-at 5=exit", "are at the same instruction; leave one of them out"},
  };
  for (const Case& each : cases) expect_bad_input(run + each.options, each.says);
  const std::string guest = "'" VPMU_ARM64_GUESTS "/hello.elf' --spe-at 5=trap ";
  for (const char* command : {"run ", "stat ", "record "}) {
    expect_bad_input(command + guest, "--spe-at: this guest has no SPE; give --guest-spe on");
  }
  expect_bad_input(
      "run " + guest + "--guest-spe on --cpu cortex-a72",
      "--guest-spe: cortex-a72 has no SPE unit; give --cpu armv8.5 or neoverse-n1 or neoverse-v1");
}

TEST_F(Arm64SpeCommandTest, AGuestThatEndsBeforeIsAnError) {
  const Result result = vpmu(run + "--spe-at 900000000=trap");
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.errors.find("--spe-at 900000000=trap: the guest ended after"), std::string::npos)
      << result.errors;
}

TEST_F(Arm64SpeCommandTest, AStoppedGuestGoesOnElsewhere) {
  const Result whole = vpmu(run + "--spe-at 3000000=trap --spe-at 6000000=resume " + dump("whole") +
                            "--json '" + path("report") + "'");
  ASSERT_EQ(whole.status, 1) << whole.errors;
  const std::string report = content(path("report"));
  // Saved at the instruction at which it is stopped, and while it is.
  for (const std::string at : {"3000000", "4567891"}) {
    const std::string first = std::string{run}
                                  .append("--spe-at 3000000=trap --save-at ")
                                  .append(at)
                                  .append("=")
                                  .append(file())
                                  .append("--max-instructions ")
                                  .append(at);
    ASSERT_EQ(vpmu(first).status, 124);
    const Result moved =
        vpmu("run --restore " + file() + "--spe-at 6000000=resume --json '" + path("report") + "'");
    EXPECT_EQ(moved.status, 1) << moved.errors;
    EXPECT_EQ(moved.output, whole.output.substr(whole.output.size() - moved.output.size()));
    EXPECT_EQ(content(path("report")), report) << at;
  }
  // Nobody lets it go on.
  EXPECT_EQ(vpmu("run --restore " + file() + dump("rest")).status, 1);
  EXPECT_LT(std::filesystem::file_size(path("rest")), 200u);
}

TEST_F(Arm64SpeCommandTest, AGuestThatProfilesIsNotEnteredAndSaysWhy) {
  const Result result = vpmu(run + "--spe-at 3000000=exit");
  EXPECT_EQ(result.status, 125);
  EXPECT_NE(result.errors.find("vpmu: vCPU 0 is not entered (EAGAIN): profiling is stopped and the "
                               "guest profiles; give a further --spe-at INSTRUCTIONS=resume"),
            std::string::npos)
      << result.errors;
  EXPECT_NE(result.errors.find("entry-refused (status 125); 3,000,000 instructions"),
            std::string::npos)
      << result.errors;
  // One that does not profile does not notice.
  EXPECT_EQ(vpmu("run '" VPMU_ARM64_GUESTS "/hello.elf' --guest-spe on --spe-at 0=exit").status, 1);
}

TEST_F(Arm64SpeCommandTest, WhatIsToBeDoneLaterIsDoneWhereItIsNotEntered) {
  ASSERT_EQ(vpmu(run + dump("whole")).status, 1);
  const Result resumed = vpmu(run + "--spe-at 0=exit --spe-at 6000000=resume " + dump("resumed"));
  EXPECT_EQ(resumed.status, 1) << resumed.errors;
  EXPECT_NE(resumed.output.find(kSum), std::string::npos);
  EXPECT_NE(resumed.errors.find("vpmu: --spe-at 6000000=resume comes after 12"), std::string::npos)
      << resumed.errors;
  // Stopped before the first instruction that would be sampled: nothing is missing.
  EXPECT_EQ(content(path("resumed")), content(path("whole")));

  // Saved where it is about to profile.
  const Result saved = vpmu(run + "--spe-at 0=exit --save-at 6000000=" + file());
  EXPECT_EQ(saved.status, 125);
  EXPECT_NE(saved.errors.find("vpmu: --save-at 6000000=" + path("saved") + " comes after 12"),
            std::string::npos)
      << saved.errors;
  EXPECT_EQ(vpmu("run --restore " + file()).status, 125);
  const Result moved = vpmu("run --restore " + file() + "--spe-at 6000000=resume " + dump("moved"));
  EXPECT_EQ(moved.status, 1) << moved.errors;
  EXPECT_EQ(content(path("moved")), content(path("whole")));
}

TEST_F(Arm64SpeCommandTest, OtherReasonsNotToBeEnteredEndTheRun) {
  const Result result = vpmu("run '" VPMU_ARM64_GUESTS
                             "/hello.elf' --guest-spe on --host-cpus 2 --spe-cpus 1 --spe-at "
                             "5=resume --save-at 5=" +
                             file());
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.errors.find("--spe-at 5=resume: the guest ended after 0 instructions"),
            std::string::npos)
      << result.errors;
  EXPECT_FALSE(std::filesystem::exists(path("saved")));
}

}  // namespace
}  // namespace vpmu::test
