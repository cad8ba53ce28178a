// SPDX-License-Identifier: MIT
#include "cli/doctor/output.hpp"

#include <sstream>

#include "cli/doctor/doctor_command.hpp"
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::json;
using cli::doctor::runs_guests;
using cli::doctor::text;

Check check(const char* name, CheckResult result, const char* detail, const char* cause = "",
            const char* remedy = "") {
  return {name, result, detail, cause, remedy};
}

const Check kGuest = check("machine.guest", CheckResult::kOk, "counts");

TEST(DoctorText, FirstLineSaysWhetherGuestsRun) {
  EXPECT_EQ(text({kGuest}, false).rfind("`vpmu run` works here", 0), 0u);
  EXPECT_EQ(text({check("machine.guest", CheckResult::kFailed, "no")}, false)
                .rfind("`vpmu run` does not work here", 0),
            0u);
}

TEST(DoctorText, HasCauseAndRemedyBelowTheCheck) {
  const std::string out =
      text({kGuest, check("kvm.device", CheckResult::kDenied, "shut", "the door", "a key")}, false);
  EXPECT_TRUE(contains(out, "  denied   device              shut\n"));
  EXPECT_TRUE(contains(out, " cause:  the door\n"));
  EXPECT_TRUE(contains(out, " remedy: a key\n"));
  EXPECT_TRUE(contains(out, "1 ok, 1 denied\n"));
}

TEST(DoctorText, BreaksLongLinesAtSpaces) {
  std::string words;
  for (int i = 0; i < 60; ++i) words.append(i == 0 ? "word" : " word");
  const std::string out =
      text({kGuest, {"perf.raw", CheckResult::kFailed, words, words, words}}, false);
  std::istringstream lines{out};
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), cli::doctor::kColumns) << line;
    EXPECT_NE(line.empty() ? 'x' : line.back(), ' ') << line;
  }
}

TEST(DoctorText, SkippedChecksOfOneReasonShareALine) {
  const std::string out =
      text({kGuest, check("perf.raw", CheckResult::kSkipped, "", "needs perf.hardware"),
            check("perf.precise", CheckResult::kSkipped, "", "needs perf.hardware"),
            check("perf.nmi-watchdog", CheckResult::kSkipped, "", "hidden")},
           false);
  EXPECT_TRUE(contains(out, "  skipped  raw, precise: needs perf.hardware\n"));
  EXPECT_TRUE(contains(out, "  skipped  nmi-watchdog: hidden\n"));
}

TEST(DoctorText, HasNoColourUnlessAsked) {
  EXPECT_FALSE(contains(text({kGuest}, false), "\x1b"));
  EXPECT_TRUE(contains(text({kGuest}, true), "\x1b[32m"));
}

TEST(DoctorJson, HasEveryCheckWithAllFields) {
  const auto report = json({kGuest, check("kvm.device", CheckResult::kMissing, "a", "b", "c")});
  EXPECT_EQ(report["doctor"], 1);
  EXPECT_EQ(report["runs_guests"], true);
  ASSERT_EQ(report["checks"].size(), 2u);
  const auto& device = report["checks"][1];
  EXPECT_EQ(device["name"], "kvm.device");
  EXPECT_EQ(device["result"], "missing");
  EXPECT_EQ(device["detail"], "a");
  EXPECT_EQ(device["cause"], "b");
  EXPECT_EQ(device["remedy"], "c");
}

TEST(Doctor, GuestsRunWhateverElseIsMissing) {
  EXPECT_TRUE(runs_guests({kGuest, check("kvm.device", CheckResult::kFailed, "")}));
  EXPECT_FALSE(runs_guests({check("machine.guest", CheckResult::kFailed, "")}));
  EXPECT_FALSE(runs_guests({}));
}

TEST(Doctor, TheSelfTestCountsWhatItIsKnownToRetire) {
  const auto test = cli::doctor::run_self_test();
  EXPECT_EQ(test.error, "");
  // WRMSR, MOV, 500 rounds of DEC and JNZ, XOR.
  EXPECT_EQ(test.counted, 1003u);
  EXPECT_EQ(test.expected, 1003u);
}

TEST(Doctor, AWrongCountOrADeadGuestIsAFailure) {
  using cli::doctor::machine_checks;
  EXPECT_EQ(find(machine_checks({"", 7, 7}, {}), "machine.guest").result, CheckResult::kOk);
  EXPECT_EQ(find(machine_checks({"", 6, 7}, {}), "machine.guest").result, CheckResult::kFailed);
  EXPECT_EQ(find(machine_checks({"no memory", 0, 7}, {}), "machine.guest").cause, "no memory");
}

class NothingHere final : public hostperf::PerfSystem, public machine::kvm::KvmSystem {
 public:
  int open(const perf_event_attr&) override { return -ENOSYS; }
  int open() override { return -ENOENT; }
  int call(int, unsigned long, std::uintptr_t) override { return -EBADF; }
  void close(int) override {}
};

TEST(Doctor, EveryCheckHasAUniqueNameAndWhatIsNotOkACause) {
  NothingHere nothing;
  const Checks checks = cli::doctor::examine(FakeHost{}, nothing, nothing);
  std::map<std::string, int> names;
  for (const Check& each : checks) {
    EXPECT_EQ(++names[each.name], 1) << each.name;
    EXPECT_FALSE(each.detail.empty()) << each.name;
    EXPECT_EQ(each.result == CheckResult::kOk, each.cause.empty()) << each.name;
  }
  EXPECT_TRUE(runs_guests(checks));
  EXPECT_EQ(text(checks, false), text(cli::doctor::examine(FakeHost{}, nothing, nothing), false));
}

}  // namespace
}  // namespace vpmu::test
