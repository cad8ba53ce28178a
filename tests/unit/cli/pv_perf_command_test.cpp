// SPDX-License-Identifier: MIT
//
// `vpmu run --pv-perf`: what it reports, what a filter denies, where a snapshot goes on, and what
// is refused.
#include <nlohmann/json.hpp>

#include "unit/cli/command_fixture.hpp"
#include "unit/virt/pv_events.hpp"
#include "vpmu/virt/x86/pv_perf_abi.hpp"

namespace vpmu::test {
namespace {

namespace pv = virt::x86::pv;

constexpr std::uint32_t kBase = pv::kDefaultMsrBase;

/// Denies every event that is 0xc4 on Intel: branches.
constexpr const char* kDenyBranches =
    R"({"action": "deny", "flags": 0, "fixed_counter_bitmap": 0, "events": ["0xc4"]})";

Code select(unsigned event, pv::Type type, std::uint32_t code) {
  return wrmsr(kBase + 0x100 + pv::kBankMsrs * event, virt::x86::pv_event(type, code).raw);
}
Code generic(unsigned event, pv::Generic code) {
  return select(event, pv::Type::kGeneric, static_cast<std::uint32_t>(code));
}
Code start(std::uint32_t events) {
  return wrmsr(kBase + static_cast<std::uint32_t>(pv::Msr::kGlobalCtrl), events);
}

/// Event 0 counts branches, event 1 instructions, event 2 the raw event 0x2e/0x41.
Code counting() {
  pv::RawCode raw;
  raw.set(pv::RawCode::kSelect, 0x2e);
  raw.set(pv::RawCode::kUnitMask, 0x41);
  return generic(0, pv::Generic::kBranches) + generic(1, pv::Generic::kInstructions) +
         select(2, pv::Type::kRaw, raw.raw) + start(7) + forever();
}

class PvPerfCommandTest : public CommandTest {
 protected:
  /// Runs for so many instructions, with a report.
  Result run(const std::string& options, unsigned instructions = 1000) {
    return vpmu("run '" + guest(counting()) + "' " + options + " --max-instructions " +
                std::to_string(instructions) + " --json '" + path("report") + "'");
  }
  nlohmann::json report() { return nlohmann::json::parse(content(path("report")), nullptr, false); }
};

TEST_F(PvPerfCommandTest, ReportSaysWhatIsOfferedAndWhatEachEventIsAndHasCounted) {
  const Result result = run("--pv-perf events=4");
  EXPECT_EQ(result.status, 124);
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["pv_perf"]["events"], 4);
  EXPECT_EQ(json["pv_perf"]["msr_base"], "0x40005000");
  const auto& events = json["vcpus"][0]["pv_perf"]["events"];
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0]["meaning"], "branches");
  EXPECT_EQ(events[0]["host_event"]["event"], "0xc4");
  EXPECT_EQ(events[0]["status"], "counting");
  // Each WRMSR comes behind three MOVs; the one that starts is counted, what is before it is not.
  EXPECT_EQ(events[0]["value"], 1000 - 16);
  EXPECT_EQ(events[1]["meaning"], "instructions");
  EXPECT_EQ(events[1]["value"], 1000 - 15);
  EXPECT_EQ(events[1]["time_enabled_ns"], events[1]["time_running_ns"]);
  EXPECT_EQ(events[2]["type"], "raw");
  EXPECT_NE(result.errors.find("event 1, instructions: 985, counting since cycle"),
            std::string::npos)
      << result.errors;
}

TEST_F(PvPerfCommandTest, WithoutItTheReportSaysNothingIsOffered) {
  EXPECT_EQ(
      vpmu("run '" + guest(forever()) + "' --max-instructions 10 --json '" + path("report") + "'")
          .status,
      124);
  const auto json = report();
  EXPECT_TRUE(json["pv_perf"].is_null());
  EXPECT_FALSE(json["vcpus"][0].contains("pv_perf"));
  EXPECT_EQ(json["cpu"]["host_model"], "icelake-server");
}

TEST_F(PvPerfCommandTest, FilterDeniesAGenericEventByWhatItMeans) {
  const std::string filter = write_text("deny.json", kDenyBranches);
  const Result result = run("--pv-perf on --filter '" + filter + "'");
  EXPECT_NE(result.errors.find("PV perf event 0, branches, is denied by entry 0 of filter '" +
                               filter + "': it stands still\n"),
            std::string::npos)
      << result.errors;
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  const auto& event = json["vcpus"][0]["pv_perf"]["events"][0];
  EXPECT_EQ(event["status"], "denied");
  EXPECT_EQ(event["value"], 0);
  EXPECT_EQ(event["filter"], filter);
  EXPECT_EQ(event["entry"], 0);
  ASSERT_EQ(json["event_filter"].size(), 1u);
  const auto& denial = json["event_filter"][0]["denials"][0];
  EXPECT_EQ(denial["counter"], "pv0");
  EXPECT_EQ(denial["event"], "0xc4");
  EXPECT_EQ(denial["count"], 1);
}

TEST_F(PvPerfCommandTest, FilterAtFreezesAnEventAndLetsItGoOnAlsoWhereItIsSavedMeanwhile) {
  const std::string filter = write_text("deny.json", kDenyBranches);
  const std::string filters =
      "--pv-perf on --filter-at '3000=" + filter + "' --filter-at 7000=none ";
  EXPECT_EQ(run(filters + "--save-at '5000=" + path("saved") + "'", 10'000).status, 124);
  const std::string whole = content(path("report"));
  EXPECT_EQ(report()["vcpus"][0]["pv_perf"]["events"][0]["value"], 3000 - 16 + 3000);
  EXPECT_EQ(report()["event_filter"][0]["denied"], 1);
  EXPECT_EQ(vpmu("run --restore '" + path("saved") + "' --max-instructions 10000 " +
                 "--filter-at 7000=none --json '" + path("report") + "'")
                .status,
            124);
  EXPECT_EQ(content(path("report")), whole);
}

TEST_F(PvPerfCommandTest, RawEventsThatAreNotOnTheListStandStill) {
  const std::string list = write_text(
      "raw.json",
      R"({"action": "allow", "flags": 0, "fixed_counter_bitmap": 0, "events": ["0x4f2e"]})");
  const Result result = run("--pv-perf on --pv-perf-raw '" + list + "'");
  EXPECT_EQ(result.status, 124);
  EXPECT_NE(result.errors.find("PV perf event 2, event 0x2e (umask 0x41), is none of the raw "
                               "events that this guest may name: it stands still\n"),
            std::string::npos)
      << result.errors;
  EXPECT_EQ(report()["vcpus"][0]["pv_perf"]["events"][2]["status"], "denied");
}

TEST_F(PvPerfCommandTest, SavedGuestGoesOnOnAnotherHostModel) {
  const std::string list = "--pv-perf raw=off --pmu off ";
  const std::string code = guest(generic(0, pv::Generic::kBranches) + start(1) + forever());
  ASSERT_EQ(vpmu("run '" + code + "' " + list +
                 "--max-instructions 10000 --save-at '4000=" + path("saved") + "'")
                .status,
            124);
  ASSERT_EQ(vpmu("run --restore '" + path("saved") + "' --host-cpu zen4 --max-instructions 10000 " +
                 "--json '" + path("report") + "'")
                .status,
            124);
  const auto json = report();
  EXPECT_EQ(json["cpu"]["host_model"], "zen4");
  const auto& event = json["vcpus"][0]["pv_perf"]["events"][0];
  EXPECT_EQ(event["status"], "counting");
  EXPECT_EQ(event["host_event"]["event"], "0xc2");
  // Two WRMSRs with three MOVs each, of which none is a branch.
  EXPECT_EQ(event["value"], 10'000 - 8);
}

TEST_F(PvPerfCommandTest, WhatDoesNotFitIsOneLineAndStatus2) {
  const std::string code = guest(forever());
  const std::string run = "run '" + code + "' --max-instructions 1000 ";
  expect_bad_input(run + "--pv-perf maybe", "--pv-perf: 'maybe' is none of on, off, events");
  expect_bad_input(run + "--pv-perf events=33", "--pv-perf: events=33: ");
  expect_bad_input(run + "--host-cpu nothing --pv-perf on --pmu off", "--host-cpu: ");
  expect_bad_input(run + "--host-cpu zen4 --pv-perf on", "give --pmu off");
  expect_bad_input(run + "--pv-perf-raw x.json", "give --pv-perf on");
  expect_bad_input(run + "--pv-perf on --pv-perf-raw '" + path("missing") + "'", "missing");
  ASSERT_EQ(vpmu(run + "--pv-perf events=4 --pmu off --save-at '100=" + path("saved") + "'").status,
            124);
  const std::string restore = "run --restore '" + path("saved") + "' --max-instructions 1000 ";
  EXPECT_EQ(vpmu(restore + "--pv-perf events=4").status, 124);
  expect_bad_input(restore + "--pv-perf on", "give this host events=4");
  expect_bad_input(restore + "--pv-perf off", "PV perf: the guest has PV perf");
  expect_bad_input(restore + "--pv-perf events=4,hypercalls=off", "hypercalls=on");
}

TEST_F(PvPerfCommandTest, GuestWhoseHostHasEventsStaysThere) {
  const std::string code = guest(forever());
  ASSERT_EQ(vpmu("run '" + code +
                 "' --pv-perf on --pmu off --host-event cycles --max-instructions "
                 "1000 --save-at '100=" +
                 path("saved") + "'")
                .status,
            124);
  expect_bad_input("run --restore '" + path("saved") + "' --host-cpu zen4", "leave --host-cpu out");
}

}  // namespace
}  // namespace vpmu::test
