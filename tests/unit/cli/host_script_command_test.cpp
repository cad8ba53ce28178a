// SPDX-License-Identifier: MIT
//
// `vpmu run --host-script`: `cli/host_events_option.hpp` and what follows from it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "unit/cli/command_fixture.hpp"

namespace vpmu::test {
namespace {

class HostScriptCommandTest : public CommandTest {
 protected:
  const std::string run = "run --max-instructions 100000 --json '" + path("report") + "' ";

  std::string script(const std::string& text, const std::string& name = "script.toml") {
    return "--host-script '" + write_text(name, text) + "' ";
  }
  nlohmann::json report() {
    auto json = nlohmann::json::parse(content(path("report")), nullptr, false);
    EXPECT_FALSE(json.is_discarded());
    return json;
  }
  std::string looping() { return std::string{"'"} + guest(forever()) + "' "; }
};

constexpr const char* kTwo = R"(# A profiler for a while, and a watchdog.
[[event]]
name = "profiler"
event = "instructions:D"
cpu = 1
at = 20_000
until = 50_000

[[event]]
event = "cycles:D"
)";

TEST_F(HostScriptCommandTest, ReportSaysWhenEachEventWasOnWhichCpu) {
  ASSERT_EQ(vpmu(run + looping() + "--smp 2 " + script(kTwo)).status, 124);
  const auto json = report();
  const auto& events = json["host_events"];
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0]["name"], "profiler");
  ASSERT_EQ(events[0]["cpus"].size(), 1u);
  EXPECT_EQ(events[0]["cpus"][0]["cpu"], 1);
  EXPECT_EQ(events[0]["cpus"][0]["state"], "off");
  EXPECT_EQ(events[0]["cpus"][0]["times"], 1);
  EXPECT_EQ(events[0]["cpus"][0]["began_cycle"], 20'000);
  EXPECT_EQ(events[0]["cpus"][0]["ended_cycle"], 50'000);
  EXPECT_EQ(events[1]["cpus"].size(), 2u);
  EXPECT_EQ(events[1]["cpus"][1]["state"], "active");
  EXPECT_FALSE(events[1]["cpus"][1].contains("ended_cycle"));
}

TEST_F(HostScriptCommandTest, EventsOfTheCommandLineComeFirst) {
  ASSERT_EQ(vpmu(run + looping() + "--smp 2 --host-event branches " + script(kTwo)).status, 124);
  const auto json = report();
  ASSERT_EQ(json["host_events"].size(), 3u);
  EXPECT_EQ(json["host_events"][0]["name"], "branches");
  EXPECT_EQ(json["host_events"][1]["name"], "profiler");
}

TEST_F(HostScriptCommandTest, TheSameRunGivesTheSameReportAlsoCutInTwo) {
  const std::string whole = run + looping() + "--smp 2 " + script(kTwo);
  ASSERT_EQ(vpmu(whole).status, 124);
  const std::string expected = content(path("report"));
  ASSERT_EQ(vpmu(whole).status, 124);
  EXPECT_EQ(content(path("report")), expected);
  for (const std::string at : {"10000", "30000", "70000"}) {
    ASSERT_EQ(vpmu(whole + "--save-at '" + at + "=" + path("saved") + "'").status, 124);
    ASSERT_EQ(vpmu(run + "--restore '" + path("saved") + "'").status, 124);
    EXPECT_EQ(content(path("report")), expected) << "saved at " << at;
  }
}

TEST_F(HostScriptCommandTest, ASnapshotKeepsItsHost) {
  const std::string events = "--smp 2 " + script(kTwo);
  ASSERT_EQ(vpmu(run + looping() + events + "--save-at '10000=" + path("saved") + "'").status, 124);
  const std::string again = run + "--restore '" + path("saved") + "' ";
  EXPECT_EQ(vpmu(again + script(kTwo)).status, 124);
  const std::string other = script("[[event]]\nevent = \"cycles\"\n", "other.toml");
  expect_bad_input(again + other, "its host has other events; leave --host-script out");
  expect_bad_input(again + "--host-event cycles:D",
                   "its host has other events; leave --host-event out");
  expect_bad_input(again + script("[[event]]\ncpu = 2\nevent = \"cycles\"\n", "far.toml"),
                   "far.toml:2:7: there is no host CPU 2");
}

TEST_F(HostScriptCommandTest, BadScriptsAreOneLineAndStatus2BeforeTheGuestRuns) {
  const std::string line = "run --max-instructions 1000 '" + guest(print('x') + forever()) + "' ";
  expect_bad_input(line + "--host-script '" + path("missing") + "'",
                   "missing': No such file or directory; check the path");
  expect_bad_input(line + "--host-script ''", "No such file");
  expect_bad_input(line + "--host-script /", "Is a directory; give a file that can be read");
  expect_bad_input(line + "--host-script /dev/zero", "/dev/zero:1:1: a host script has at most 1");
  expect_bad_input(
      line + script("[[event]]\nevent = \"cyclez\"\n"),
      "script.toml:2:9: event 'cyclez' is not known on icelake-server; names like it:");
  expect_bad_input(line + script("[[event]]\nevent = \"cycles\"\ncount = 9\n") +
                       "--host-event cycles --host-event cycles --host-event cycles "
                       "--host-event cycles --host-event cycles --host-event cycles "
                       "--host-event cycles --host-event cycles",
                   "more than 16 host events on host CPU 0; give fewer");
}

TEST_F(HostScriptCommandTest, GuestThatLosesItsBranchRecordsIsNamedOnStandardError) {
  const std::string line =
      "run --pmu lbr=on '" + guest(wrmsr(0x1c9, 0) + rdmsr(0x1c9) + debug_exit(0)) + "' ";
  const std::string warning = "vpmu: vCPU 0: the host has taken the LBRs: ";
  EXPECT_EQ(vpmu(line).errors.find(warning), std::string::npos);
  const std::string text = "[[event]]\nevent = \"cycles:D\"\nbranches = \"any\"\n";
  const Result lost = vpmu(line + script(text));
  EXPECT_EQ(lost.status, 1);
  EXPECT_EQ(lost.errors.find(warning), 0u) << lost.errors;
}

}  // namespace
}  // namespace vpmu::test
