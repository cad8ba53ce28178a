// SPDX-License-Identifier: MIT
//
// `vpmu run --save-at` and `--restore` of AArch64 guests, as a process.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class Arm64SnapshotCommandTest : public CommandTest {
 protected:
  static constexpr const char* kSmp = "run '" VPMU_ARM64_GUESTS "/pmu_smp.elf' ";
  const std::string at = std::string{" --save-at '100000="}.append(path("saved")).append("' ");
  const std::string restore = std::string{"run --restore '"}.append(path("saved")).append("' ");

  std::string policy(const std::string& ranges) {
    return write_text("filter.toml", "cpu = \"neoverse-n1\"\nranges = [" + ranges + "]\n");
  }
  void save(const std::string& options = "--smp 2 --quantum 123 --append cpus=2") {
    ASSERT_EQ(vpmu(kSmp + options + at + "--max-instructions 100000").status, 124);
  }
};

TEST_F(Arm64SnapshotCommandTest, ReportConsoleAndStatusAreThoseOfOneRun) {
  const std::string options = "--smp 2 --quantum 123 --append cpus=2";
  const std::string json = "--json '" + path("report") + "'";
  const Result whole = vpmu(kSmp + options + " " + json);
  const std::string expected = content(path("report"));
  const Result first = vpmu(kSmp + options + at + "--max-instructions 100000");
  const Result second = vpmu(restore + json);
  EXPECT_EQ(first.status, 124) << first.errors;
  EXPECT_EQ(second.status, whole.status) << second.errors;
  EXPECT_EQ(first.output + second.output, whole.output);
  EXPECT_EQ(content(path("report")), expected);
}

TEST_F(Arm64SnapshotCommandTest, StatGoesOn) {
  save();
  const Result result = vpmu("stat --restore '" + path("saved") +
                             "' -e instructions -x , -o - --max-instructions 100500");
  EXPECT_EQ(result.status, 124);
  EXPECT_EQ(result.output.find("500,,instructions"), 0u) << result.output;
}

TEST_F(Arm64SnapshotCommandTest, OptionsThatSayWhatItIsMayBeGiven) {
  save();
  EXPECT_EQ(vpmu(restore + "--cpu neoverse-n1 --smp 2 --mem 128M --quantum 123 --pmu on "
                           "--host-cpus 2 --filter none")
                .status,
            1);
}

TEST_F(Arm64SnapshotCommandTest, OptionsThatDoNotFitTheGuestAreOneLineAndStatus2) {
  save();
  struct Case {
    const char* options;
    const char* says;
  };
  const Case cases[] = {
      {"--cpu neoverse-v1", "its guest has --cpu neoverse-n1, not neoverse-v1; leave --cpu out"},
      {"--cpu icelake-server", "its guest has --cpu neoverse-n1, not icelake-server"},
      {"--smp 3", "its guest has --smp 2, not 3"},
      {"--mem 64M", "--mem"},
      {"--quantum 7", "its guest has --quantum 123, not 7"},
      {"--host-cpus 1", "its host has --host-cpus 2, not 1"},
      {"--pmu counters=2", "its guest has another PMU than --pmu counters=2; leave --pmu out"},
      {"--pmu gp=2", "'gp' is none of"},
      {"--pv-perf on", "--pv-perf: is for x86 guests, and this one is for arm64; leave it out"},
      {"--save-at '5=any'", "--save-at 5=any"},
      {"--host-event cycles", "its host has other events; leave --host-event out"},
      {"--host-cpu cortex-a72", "with a PMU cannot run on a host of cortex-a72"},
      {"--host-cpu zen4", "--host-cpu 'zen4': is none of the CPU models of an arm64 guest"},
  };
  for (const Case& each : cases) expect_bad_input(restore + each.options, each.says);
}

TEST_F(Arm64SnapshotCommandTest, WhatIsOfferedOfSpeIsInIt) {
  const std::string offered = "--guest-spe flavour=nvhe --host-cpus 2 --spe-cpus 0-1 ";
  const std::string run = "run '" VPMU_ARM64_GUESTS "/spe_sampling.elf' ";
  ASSERT_EQ(vpmu(run + offered + at + "--max-instructions 100000").status, 124);
  EXPECT_EQ(vpmu(restore).status, 1);
  EXPECT_EQ(vpmu(restore + offered).status, 1);
  EXPECT_EQ(vpmu(restore + "--spe-cpus 0-1").status, 1);
  EXPECT_EQ(vpmu(restore + "--pmu on").status, 1) << "with the events of SPE, as it had them";
  expect_bad_input(restore + "--guest-spe off", "its guest has SPE; leave --guest-spe out");
  expect_bad_input(restore + "--guest-spe on",
                   "its guest has another SPE than --guest-spe on; leave --guest-spe out");
  expect_bad_input(restore + "--guest-spe flavour=any", "give vhe, nvhe or protected");
  expect_bad_input(restore + "--spe-cpus 0", "leave --spe-cpus out");
  expect_bad_input(restore + "--spe-supported 1", "leave --spe-supported out");
  expect_bad_input(restore + "--host-cpu cortex-a72 --pmu on", "with SPE cannot run on a host");
  save();
  expect_bad_input(restore + "--guest-spe on", "its guest has no SPE; leave --guest-spe out");
  expect_bad_input(restore + "--spe-cpus 0", "leave --spe-cpus out");
}

TEST_F(Arm64SnapshotCommandTest, ADumpOfTheRestIsOfTheSameImage) {
  const std::string image = VPMU_ARM64_GUESTS "/spe_sampling.elf";
  ASSERT_EQ(vpmu("run '" + image + "' --guest-spe on" + at + "--max-instructions 100000").status,
            124);
  ASSERT_EQ(vpmu(restore + "--spe-dump '" + path("rest") + "'").status, 1);
  EXPECT_NE(content(path("rest")).find(image), std::string::npos);
}

TEST_F(Arm64SnapshotCommandTest, TheHostAndItsEventsAreInIt) {
  const std::string options = "--smp 2 --quantum 123 --append cpus=2 --host-cpus 1 ";
  const std::string events = "--host-event r8:D --host-event r11 --host-event cycles:u ";
  const std::string json = "--json '" + path("report") + "'";
  const Result whole = vpmu(kSmp + options + events + json);
  const std::string expected = content(path("report"));
  save(options + events);
  EXPECT_EQ(vpmu(restore + json).status, whole.status);
  EXPECT_EQ(content(path("report")), expected);
  EXPECT_EQ(vpmu(restore + events).status, whole.status);
  expect_bad_input(restore + "--host-cpu cortex-a72", "has events of its own");

  // Without a PMU it goes on anywhere.
  ASSERT_EQ(vpmu("run '" VPMU_ARM64_GUESTS "/workload.elf' --pmu off --append 'rounds=1 pmu=off'" +
                 at + "--max-instructions 100000")
                .status,
            124);
  EXPECT_EQ(vpmu(restore + "--host-cpu cortex-a72 --max-instructions 200000").status, 124);
}

TEST_F(Arm64SnapshotCommandTest, TheFilterIsInItAndAnotherReplacesIt) {
  const std::string filter = policy(R"("deny BR_RETIRED", "deny BR_PRED")");
  const std::string run = "run '" VPMU_ARM64_GUESTS
                          "/pmu_filtered.elf' --append events=12,21 --filter '" +
                          filter + "' ";
  const std::string json = "--json '" + path("report") + "'";
  const Result whole = vpmu(run + json);
  const std::string expected = content(path("report"));
  const auto length = nlohmann::json::parse(expected)["outcome"]["instructions"].get<unsigned>();
  ASSERT_GT(length, 1'000u);
  const std::string half = std::to_string(length / 2);
  ASSERT_EQ(vpmu(run + "--save-at " + half + "='" + path("saved") + "'").status, whole.status);
  const Result moved = vpmu(restore + json);
  EXPECT_EQ(moved.status, whole.status) << moved.errors;
  EXPECT_EQ(content(path("report")), expected);
  // What stands still is said of the whole run.
  EXPECT_NE(moved.errors.find("event 0x0012 is denied by range 1 of filter '" + filter),
            std::string::npos)
      << moved.errors;
  ASSERT_NE(vpmu(restore + "--filter none " + json).status, 2);
  const auto filters =
      nlohmann::json::parse(content(path("report")), nullptr, false)["event_filter"];
  ASSERT_EQ(filters.size(), 2u);
  EXPECT_EQ(filters[0]["file"], filter);
  EXPECT_EQ(filters[1]["file"], "none");
  EXPECT_EQ(filters[1]["since_instruction"], length / 2);
}

TEST_F(Arm64SnapshotCommandTest, FilesThatAreNotWholeAreOneLineAndStatus2) {
  save();
  const std::string whole = content(path("saved"));
  const auto restored = [&](const std::string& bytes, const std::string& says) {
    expect_bad_input("run --restore '" + write_text("other", bytes) + "'", says);
  };
  restored(whole.substr(0, whole.size() / 2), "it ends early");
  restored(whole + "x", "something follows its end");
  std::string changed = whole;
  changed[changed.size() / 2] ^= 1;
  restored(changed, "; the file is damaged: save the guest again");
  restored("hello", "it is not a snapshot of a guest");
  restored("vpmu-snapshot 5\n" + whole.substr(whole.find('\n') + 1), "its format is version 5");
}

TEST_F(Arm64SnapshotCommandTest, WhatCannotBeWrittenLeavesNoFileAndTheGuestGoesOn) {
  const Result full = vpmu(kSmp + std::string{"--save-at 1000=/dev/full"});
  EXPECT_EQ(full.status, 2);
  EXPECT_NE(full.errors.find("/dev/full"), std::string::npos) << full.errors;
  const Result nowhere = vpmu(kSmp + ("--save-at '1000=" + path("missing") + "/saved'"));
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_NE(nowhere.errors.find("No such file"), std::string::npos) << nowhere.errors;
  EXPECT_NE(nowhere.output, "");
  // Files end at 64 KiB, as where a disk is full.
  const std::string command =
      std::string{"sh -c \"ulimit -f 64; trap '' XFSZ; exec '" VPMU_COMMAND "' "};
  EXPECT_NE(std::system((command + kSmp + at + "\" > /dev/null 2> '" + path("full") + "'").c_str()),
            0);
  EXPECT_NE(content(path("full")).find("File too large"), std::string::npos)
      << content(path("full"));
  EXPECT_FALSE(std::filesystem::exists(path("saved")));
  const Result late = vpmu(kSmp + ("--save-at '900000000000=" + path("late") + "'"));
  EXPECT_EQ(late.status, 2);
  EXPECT_NE(late.errors.find("the guest ended after"), std::string::npos) << late.errors;
  EXPECT_FALSE(std::filesystem::exists(path("late")));
}

}  // namespace
}  // namespace vpmu::test
