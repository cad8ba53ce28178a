// SPDX-License-Identifier: MIT
#include "cli/report.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "unit/machine/machine_fixture.hpp"

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
  EXPECT_EQ(retired.size(), silicon::kNamedRawEventCount);
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
  config.pmu = false;
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

TEST_F(ReportTest, SummaryIsOneLine) {
  const RunFacts end = facts(debug_exit(0));
  const std::string text = cli::summary(*machine, end);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_NE(text.find("debug-exit 0 (status 1)"), std::string::npos);
}

}  // namespace
}  // namespace vpmu::test
