// SPDX-License-Identifier: MIT
//
// What the host itself does beside an AArch64 guest: `--host-event`, `--host-script`, `--host-cpu`.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

const std::string kCounting = "'" VPMU_ARM64_GUESTS "/pmu_filtered.elf' --append events=8";
const std::string kProfiled = "'" VPMU_ARM64_GUESTS "/profiled.elf'";

class Arm64HostCommandTest : public CommandTest {
 protected:
  const std::string to_report = " --json '" + path("report") + "' ";

  std::string script(const std::string& text) {
    return " --host-script '" + write_text("host.toml", text) + "' ";
  }
  nlohmann::json report() {
    auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
    EXPECT_FALSE(json.is_discarded());
    return json;
  }
};

TEST_F(Arm64HostCommandTest, EventOfTheHostCountsWhatTheGuestRetires) {
  const Result run =
      vpmu("run " + kProfiled + " --host-event instructions:D --host-event exc_taken" + to_report);
  EXPECT_EQ(run.status, 1) << run.errors;
  const auto json = report();
  ASSERT_EQ(json["host_events"].size(), 2u);
  EXPECT_EQ(json["host_events"][0]["name"], "instructions:D");
  EXPECT_EQ(json["host_events"][0]["cpus"][0]["value"], json["outcome"]["instructions"]);
  EXPECT_EQ(json["host_events"][1]["cpus"][0]["value"],
            json["vcpus"][0]["retired"]["exceptions"]["total"]);
}

TEST_F(Arm64HostCommandTest, PinnedEventsOfTheHostTakeTheGuestsCounters) {
  std::string most;
  for (int n = 0; n < 4; ++n) most += " --host-event r8:D";
  // The guest uses two event counters of six.
  const Result enough = vpmu("run " + kCounting + most + to_report);
  EXPECT_EQ(enough.errors.find("found no free counter"), std::string::npos) << enough.errors;
  EXPECT_EQ(report()["vcpus"][0]["counters_not_counting"], nlohmann::json::array());

  const std::string all = most + " --host-event r8:D --host-event r8:D";
  const Result none = vpmu("run " + kCounting + all + to_report);
  EXPECT_NE(none.errors.find("vpmu: vCPU 0: event 0x001b found no free counter on the host: the "
                             "counter stands still\n"),
            std::string::npos)
      << none.errors;
  const auto json = report();
  ASSERT_EQ(json["vcpus"][0]["counters_not_counting"].size(), 2u);
  EXPECT_EQ(json["vcpus"][0]["counters_not_counting"][0]["status"], "starved");
}

TEST_F(Arm64HostCommandTest, ScriptSaysWhenAndOnWhichHostCpu) {
  const std::string guest = "'" VPMU_ARM64_GUESTS "/pmu_smp.elf' --smp 2";
  const std::string options = script(
      "[[event]]\nname = \"profiler\"\nevent = \"BR_RETIRED:D\"\ncpu = 1\nat = 2_000\n"
      "until = 5_000\n\n[[event]]\nevent = \"cycles\"\nperiod = 1_000\n");
  EXPECT_EQ(vpmu("run " + guest + options + to_report).status, 1);
  const auto json = report();
  ASSERT_EQ(json["host_events"].size(), 2u);
  const auto& profiler = json["host_events"][0];
  ASSERT_EQ(profiler["cpus"].size(), 1u);
  EXPECT_EQ(profiler["cpus"][0]["cpu"], 1);
  EXPECT_EQ(profiler["cpus"][0]["times"], 1);
  EXPECT_EQ(profiler["cpus"][0]["began_cycle"], 2'000);
  EXPECT_EQ(profiler["cpus"][0]["ended_cycle"], 5'000);
  EXPECT_EQ(profiler["cpus"][0]["state"], "off");
  ASSERT_EQ(json["host_events"][1]["cpus"].size(), 2u);
  const auto& cycles = json["host_events"][1]["cpus"][0];
  EXPECT_EQ(cycles["overflows"], cycles["value"].get<std::uint64_t>() / 1'000);

  const std::string first = content(path("report"));
  EXPECT_EQ(vpmu("run " + guest + options + to_report).status, 1);
  EXPECT_EQ(content(path("report")), first);
}

TEST_F(Arm64HostCommandTest, ScriptCannotAskForBranchRecords) {
  const std::string line = "run " + kProfiled;
  expect_bad_input(line + script("[[trace]]\nat = 7\n"),
                   "host.toml:1:1: neoverse-n1 has no last branch records that a trace could use; "
                   "leave [[trace]] out");
  expect_bad_input(line + script("[[event]]\nevent = \"cycles\"\nbranches = \"any\"\n"),
                   "host.toml:3:12: neoverse-n1 has no last branch records; leave 'branches' out");
  expect_bad_input(line + script("[[event]]\nevent = \"r0c\"\n"),
                   "host.toml:2:9: event 'r0c': neoverse-n1 cannot count it; `vpmu cpu show "
                   "neoverse-n1 --events` lists what it can");
}

TEST_F(Arm64HostCommandTest, AnotherHostCountsItsOwnEvents) {
  const std::string on_a72 = kProfiled + " --pmu off --host-cpu cortex-a72 ";
  EXPECT_EQ(vpmu("run " + on_a72 + to_report).status, 1);
  EXPECT_EQ(report()["cpu"]["model"], "neoverse-n1");
  EXPECT_EQ(report()["cpu"]["host_model"], "cortex-a72");
  expect_bad_input("stat " + on_a72 + "-e br_retired",
                   "event 'br_retired' is not known on cortex-a72");
  // BR_PRED there, and the same branches.
  const Result branches = vpmu("stat " + on_a72 + "-x, -e branches");
  const Result native = vpmu("stat " + kProfiled + " --pmu off -x, -e r21");
  EXPECT_EQ(branches.status, 1) << branches.errors;
  EXPECT_EQ(branches.errors.substr(0, branches.errors.find(',')),
            native.errors.substr(0, native.errors.find(',')));
}

}  // namespace
}  // namespace vpmu::test
