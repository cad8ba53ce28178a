// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "cli/counter_report.hpp"
#include "cli/pmu_option.hpp"
#include "unit/machine/machine_fixture.hpp"
#include "vpmu/hostperf/lbr_host.hpp"

namespace vpmu::test {
namespace {

using cli::RunFacts;

class ReportTest : public MachineTest {
 protected:
  RunFacts facts(const Code& code, const machine::RunLimits& limits = {}) {
    RunFacts result;
    result.image = "guest.elf";
    result.outcome = run(code, limits);
    result.status = 1;
    result.host_seconds = 0.5;
    return result;
  }
};

TEST_F(ReportTest, UserAndKernelAddUpToTheTotalOfEveryEvent) {
  const RunFacts end = facts(print('x') + debug_exit(5));
  const auto json = cli::report(*machine, end, false);
  const auto& retired = json["vcpus"][0]["retired"];
  EXPECT_EQ(retired.size(), silicon::kCommonRawEventCount);
  for (const auto& [event, counts] : retired.items()) {
    EXPECT_EQ(counts["total"].get<std::uint64_t>(),
              counts["user"].get<std::uint64_t>() + counts["kernel"].get<std::uint64_t>())
        << event;
  }
  EXPECT_EQ(retired["instructions"]["kernel"], 5);
  EXPECT_EQ(json["outcome"]["reason"], "debug-exit");
  EXPECT_EQ(json["outcome"]["value"], 5);
  EXPECT_EQ(json["vcpus"][0]["exits"]["by_reason"]["port-io"]["count"], 2);
}

TEST_F(ReportTest, TheSameRunGivesTheSameBytes) {
  const Code code = print('x') + forever();
  const RunFacts first = facts(code, {.instructions = 12'345});
  const std::string one = cli::report(*machine, first, false).dump();
  RunFacts second = facts(code, {.instructions = 12'345});
  second.host_seconds = 7;
  EXPECT_EQ(cli::report(*machine, second, false).dump(), one);
  EXPECT_NE(cli::report(*machine, second, true).dump(), one);
}

TEST_F(ReportTest, HostTimesAreThereWhenAskedFor) {
  const RunFacts end = facts(forever(), {.instructions = 1'000'000});
  EXPECT_FALSE(cli::report(*machine, end, false).contains("host"));
  EXPECT_DOUBLE_EQ(cli::report(*machine, end, true)["host"]["mips"].get<double>(), 2.0);
}

TEST_F(ReportTest, SignalsTellWhyARunWasStopped) {
  RunFacts end = facts(debug_exit(0));
  end.outcome = {machine::Outcome::Reason::kStopped, 0};
  end.signal = SIGALRM;
  EXPECT_EQ(cli::report(*machine, end, false)["outcome"]["reason"], "time-limit");
  end.signal = SIGINT;
  EXPECT_EQ(cli::report(*machine, end, false)["outcome"]["reason"], "interrupted");
}

TEST_F(ReportTest, PmuOffIsInTheReport) {
  config.pmu = virt::x86::no_pmu(config.model->vendor);
  const RunFacts end = facts(debug_exit(0));
  EXPECT_EQ(cli::report(*machine, end, false)["pmu"]["enabled"], false);
}

TEST_F(ReportTest, EnabledCountersThatStandStillAreNamed) {
  // Event 0xff does not exist on any model.
  const RunFacts end = facts(wrmsr(0x186, 0x4300ff) + wrmsr(0x38f, 1) + debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  const auto& counters = json["vcpus"][0]["counters_not_counting"];
  ASSERT_EQ(counters.size(), 1u);
  EXPECT_EQ(counters[0]["counter"], "pmc0");
  EXPECT_EQ(counters[0]["status"], "unsupported event");
}

TEST_F(ReportTest, UsedCountersSayWhatTheyCountAndHowThatGoes) {
  const RunFacts end = facts(wrmsr(0x186, 0x4300c0) + wrmsr(0x187, 0x4301ff) +
                             wrmsr(0x188, 0x4302ff) + wrmsr(0x188, 0) + debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  const auto& counters = json["vcpus"][0]["counters"];
  ASSERT_EQ(counters.size(), 3u);
  EXPECT_EQ(counters[0]["counter"], "pmc0");
  EXPECT_EQ(counters[0]["event"], "0xc0");
  EXPECT_EQ(counters[0]["umask"], "0x00");
  EXPECT_TRUE(counters[0].contains("name"));
  EXPECT_EQ(counters[0]["status"], "counting");
  EXPECT_GT(counters[0]["value"], 0);
  EXPECT_EQ(counters[1]["event"], "0xff");
  EXPECT_EQ(counters[1]["umask"], "0x01");
  EXPECT_FALSE(counters[1].contains("name"));
  EXPECT_EQ(counters[1]["status"], "unsupported event");
  EXPECT_GT(counters[1]["since_cycle"], counters[0]["since_cycle"]);
  EXPECT_EQ(counters[2]["status"], "off") << "it was on once";
  EXPECT_FALSE(counters[0].contains("cmask"));
}

TEST_F(ReportTest, EventsThatStoodStillHaveALineEach) {
  facts(wrmsr(0x186, 0x4301a2) + wrmsr(0x187, 0x4301a2) + wrmsr(0x186, 0x54302ff) + debug_exit(0));
  EXPECT_EQ(
      cli::counter_troubles(*machine),
      "vpmu: vCPU 0: event 0xa2 (umask 0x01) cannot be counted by icelake-server: the counter "
      "stands still\n"
      "vpmu: vCPU 0: event 0xff (umask 0x02, cmask 5) cannot be counted by icelake-server: the "
      "counter stands still\n");
}

TEST_F(ReportTest, GuestWhoseCountersAllCountHasNoTroubles) {
  facts(wrmsr(0x186, 0x4300c0) + debug_exit(0));
  EXPECT_EQ(cli::counter_troubles(*machine), "");
}

TEST_F(ReportTest, SummaryIsOneLine) {
  const RunFacts end = facts(debug_exit(0));
  const std::string text = cli::summary(*machine, end);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_NE(text.find("debug-exit 0 (status 1)"), std::string::npos);
}

constexpr std::uint32_t kLbrTos = 0x1c9;

/// Writes LBR_TOS, which exits and makes the host open an event, and reads it three times.
Code use_lbr() {
  return wrmsr(kLbrTos, 0) + rdmsr(kLbrTos) + rdmsr(kLbrTos) + rdmsr(kLbrTos);
}

class LbrReportTest : public ReportTest {
 protected:
  LbrReportTest() {
    const auto pmu = cli::pmu_config(*config.model, "lbr=on");
    EXPECT_TRUE(pmu.has_value());
    if (pmu) config.pmu = *pmu;
  }
};

TEST_F(ReportTest, NothingIsSaidOfLastBranchRecordsThatAreNotOffered) {
  const RunFacts end = facts(debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  EXPECT_TRUE(json["pmu"]["lbr"].is_null());
  EXPECT_FALSE(json["vcpus"][0].contains("lbr"));
  EXPECT_FALSE(json.contains("lbr_switches"));
}

TEST_F(LbrReportTest, SaysHowManyExitsTheGuestWasSpared) {
  const RunFacts end = facts(use_lbr() + debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  EXPECT_EQ(json["pmu"]["lbr"]["format"], 5);
  EXPECT_EQ(json["pmu"]["lbr"]["depth"], 32);
  const auto& lbr = json["vcpus"][0]["lbr"];
  EXPECT_EQ(lbr["intercepted_writes"], 1);
  EXPECT_EQ(lbr["intercepted_reads"], 0);
  EXPECT_EQ(lbr["direct_reads"], 3);
  EXPECT_EQ(lbr["direct_writes"], 0);
  EXPECT_EQ(lbr["exits_saved"], 3);
  EXPECT_EQ(lbr["dummy_accesses"], 0);
  EXPECT_EQ(lbr["events_created"], 1);
  EXPECT_GE(lbr["pass_through_entries"], 1);
}

TEST_F(LbrReportTest, SaysWhatTheHostTook) {
  machine::HostEvent profiler{"profiler", {.config = 0x3c, .pinned = true}};
  profiler.attr.branch_type = hostperf::kBranchAny;
  config.host_events = {profiler};
  const RunFacts end = facts(use_lbr() + debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  const auto& lbr = json["vcpus"][0]["lbr"];
  EXPECT_EQ(lbr["intercepted_writes"], 1);
  EXPECT_EQ(lbr["intercepted_reads"], 3);
  EXPECT_EQ(lbr["dummy_accesses"], 4);
  EXPECT_EQ(lbr["exits_saved"], 0);
  EXPECT_EQ(json["host_events"][0]["branches"], "any");
  EXPECT_EQ(json["host_events"][0]["cpus"][0]["state"], "active");
}

TEST_F(LbrReportTest, CountsWhatMovesBetweenTasksOnEachHostCpu) {
  const RunFacts end = facts(use_lbr() + debug_exit(0));
  const auto json = cli::report(*machine, end, false);
  ASSERT_EQ(json["lbr_switches"].size(), 1u);
  EXPECT_EQ(json["lbr_switches"][0]["cpu"], 0);
  EXPECT_EQ(json["lbr_switches"][0]["saved_msrs"], 0);
}

}  // namespace
}  // namespace vpmu::test
