// SPDX-License-Identifier: MIT
#include "cli/errno_name.hpp"
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::HostFacts;
using cli::doctor::perf_checks;
using hostperf::PerfProbes;

constexpr const char* kCpuPmu = "/sys/bus/event_source/devices/cpu";

class PerfChecksTest : public testing::Test {
 protected:
  PerfProbes probes;
  HostFacts facts = [] {
    HostFacts user;
    user.user = 1000;
    user.paranoid = 2;
    user.architecture = machine::kvm::HostArchitecture::kX86;
    return user;
  }();
  FakeHost host;

  Check check(const char* name) { return find(perf_checks(probes, facts, host), name); }
  void hardware_fails_with(int error) {
    probes.cycles = probes.instructions = probes.raw = probes.branch_stack = probes.precise = error;
  }
  void everything_fails_with(int error) {
    probes.software = probes.kernel = error;
    hardware_fails_with(error);
  }
};

TEST_F(PerfChecksTest, EverythingThatOpensIsOk) {
  facts.paranoid = 1;
  probes.precise_ip = 3;
  host.put("/proc/sys/kernel/nmi_watchdog", "0\n");
  for (const Check& each : perf_checks(probes, facts, host)) {
    EXPECT_EQ(each.result, CheckResult::kOk) << each.name;
    EXPECT_FALSE(each.detail.empty()) << each.name;
    EXPECT_TRUE(each.cause.empty() && each.remedy.empty()) << each.name;
  }
  EXPECT_TRUE(contains(check("perf.precise").detail, "up to 3"));
}

TEST_F(PerfChecksTest, NoPermissionIsNeverCalledNoPmu) {
  for (const int error : {EACCES, EPERM}) {
    for (const bool seccomp : {false, true}) {
      for (const bool perfmon : {false, true}) {
        for (const bool listed : {false, true}) {
          for (const int paranoid : {-1, 1, 2, 3, 4}) {
            host.files.clear();
            if (listed) host.put(kCpuPmu, "");
            facts.seccomp = seccomp;
            facts.perfmon = perfmon;
            facts.paranoid = paranoid;
            everything_fails_with(error);
            for (const Check& each : perf_checks(probes, facts, host)) {
              EXPECT_FALSE(contains(all_text(each), "no PMU")) << all_text(each);
              EXPECT_NE(each.result, CheckResult::kMissing) << each.name;
            }
            EXPECT_EQ(check("perf.hardware").result, CheckResult::kDenied);
          }
        }
      }
    }
  }
}

TEST_F(PerfChecksTest, NoPmuIsNeverCalledNoPermission) {
  for (const bool virtual_machine : {false, true}) {
    facts.virtual_machine = virtual_machine;
    hardware_fails_with(ENOENT);
    const Check hardware = check("perf.hardware");
    EXPECT_EQ(hardware.result, CheckResult::kMissing);
    EXPECT_TRUE(contains(hardware.cause, "no PMU"));
    EXPECT_TRUE(contains(hardware.detail, "ENOENT"));
    EXPECT_FALSE(contains(all_text(hardware), "permission"));
    EXPECT_EQ(contains(hardware.cause, "virtual machine"), virtual_machine);
  }
}

TEST_F(PerfChecksTest, InstructionsAloneMayBeMissing) {
  probes.instructions = ENOENT;
  EXPECT_TRUE(contains(check("perf.hardware").detail, "instructions"));
  EXPECT_EQ(check("perf.hardware").result, CheckResult::kMissing);
}

TEST_F(PerfChecksTest, DeniedSaysThatThereIsAPmuWhereTheKernelListsOne) {
  hardware_fails_with(EACCES);
  EXPECT_FALSE(contains(check("perf.hardware").detail, "has a PMU"));
  host.put(kCpuPmu, "");
  EXPECT_TRUE(contains(check("perf.hardware").detail, "the host has a PMU"));
  host.files.clear();
  host.put("/sys/bus/event_source/devices/cpu_core", "");
  EXPECT_TRUE(contains(check("perf.hardware").detail, "the host has a PMU"));
}

TEST_F(PerfChecksTest, TellsTheReasonsOfADenialApart) {
  const struct {
    int error;
    bool seccomp;
    bool perfmon;
    std::optional<int> paranoid;
    const char* cause;
  } rows[] = {
      {EPERM, true, false, 2, "seccomp"},
      {EPERM, true, true, 2, "seccomp"},
      {EPERM, false, false, 2, "security module"},
      {EACCES, false, false, 3, "perf_event_paranoid is 3"},
      {EACCES, true, false, 4, "perf_event_paranoid is 4"},
      {EACCES, false, false, 2, "security module"},
      {EACCES, false, true, 3, "security module"},
      {EACCES, false, false, std::nullopt, "security module"},
  };
  for (const auto& row : rows) {
    facts.seccomp = row.seccomp;
    facts.perfmon = row.perfmon;
    facts.paranoid = row.paranoid;
    everything_fails_with(row.error);
    for (const char* name : {"perf.syscall", "perf.software", "perf.hardware"}) {
      EXPECT_EQ(check(name).result, CheckResult::kDenied);
      EXPECT_TRUE(contains(check(name).cause, row.cause)) << name << ": " << check(name).cause;
      EXPECT_FALSE(check(name).remedy.empty());
    }
  }
}

TEST_F(PerfChecksTest, KernelCodeNeedsLevelOne) {
  probes.kernel = EACCES;
  EXPECT_EQ(check("perf.kernel").result, CheckResult::kDenied);
  EXPECT_TRUE(contains(check("perf.kernel").cause, "perf_event_paranoid is 2"));
  EXPECT_TRUE(contains(check("perf.kernel").remedy, "perf_event_paranoid=1"));
  EXPECT_TRUE(contains(check("perf.kernel").remedy, "CAP_PERFMON"));
  facts.user_namespace = true;
  EXPECT_FALSE(contains(check("perf.kernel").remedy, "CAP_PERFMON"));
  facts.paranoid.reset();
  EXPECT_TRUE(contains(check("perf.kernel").cause, "cannot be read"));
}

TEST_F(PerfChecksTest, OtherErrorsOfHardwareEventsHaveTheirCause) {
  const struct {
    int error;
    CheckResult result;
    const char* cause;
  } rows[] = {
      {EBUSY, CheckResult::kFailed, "somebody"},
      {EMFILE, CheckResult::kFailed, "open files"},
      {ENFILE, CheckResult::kFailed, "open files"},
      {EINVAL, CheckResult::kFailed, "does not accept"},
      {ENODEV, CheckResult::kMissing, "cannot count"},
      {EOPNOTSUPP, CheckResult::kMissing, "cannot count"},
      {EIO, CheckResult::kFailed, "does not know"},
  };
  for (const auto& row : rows) {
    hardware_fails_with(row.error);
    const Check hardware = check("perf.hardware");
    EXPECT_EQ(hardware.result, row.result) << row.error;
    EXPECT_TRUE(contains(hardware.cause, row.cause)) << hardware.cause;
    EXPECT_TRUE(contains(hardware.detail, cli::errno_name(row.error)));
    EXPECT_FALSE(contains(all_text(hardware), "no PMU"));
    EXPECT_FALSE(contains(all_text(hardware), "permission"));
    EXPECT_EQ(check("perf.syscall").result, CheckResult::kOk);
  }
}

TEST_F(PerfChecksTest, AnAbsentCallIsAKernelWithoutPerfOrASeccompFilter) {
  everything_fails_with(ENOSYS);
  EXPECT_EQ(check("perf.syscall").result, CheckResult::kMissing);
  EXPECT_TRUE(contains(check("perf.syscall").cause, "CONFIG_PERF_EVENTS"));
  EXPECT_FALSE(contains(check("perf.syscall").cause, "seccomp"));
  facts.seccomp = true;
  EXPECT_TRUE(contains(check("perf.syscall").cause, "seccomp"));
}

TEST_F(PerfChecksTest, FeaturesWaitForHardwareEvents) {
  hardware_fails_with(ENOENT);
  for (const char* name : {"perf.raw", "perf.branch-stack", "perf.precise"}) {
    EXPECT_EQ(check(name).result, CheckResult::kSkipped) << name;
    EXPECT_TRUE(contains(check(name).cause, "perf.hardware"));
  }
}

TEST_F(PerfChecksTest, APmuWithoutAFeatureLacksJustThat) {
  probes.branch_stack = EOPNOTSUPP;
  probes.precise = EOPNOTSUPP;
  EXPECT_EQ(check("perf.branch-stack").result, CheckResult::kMissing);
  EXPECT_EQ(check("perf.precise").result, CheckResult::kMissing);
  EXPECT_EQ(check("perf.hardware").result, CheckResult::kOk);
  EXPECT_EQ(check("perf.raw").result, CheckResult::kOk);
}

TEST_F(PerfChecksTest, EveryParanoidLevelIsExplained) {
  const struct {
    int level;
    bool perfmon;
    CheckResult result;
    const char* meaning;
  } rows[] = {
      {-1, false, CheckResult::kOk, "everything"},
      {0, false, CheckResult::kOk, "whole CPUs"},
      {1, false, CheckResult::kOk, "kernel code too"},
      {2, false, CheckResult::kWarning, "user code of their own"},
      {3, false, CheckResult::kWarning, "nobody"},
      {4, false, CheckResult::kWarning, "nobody"},
      {4, true, CheckResult::kOk, "this user has CAP_PERFMON"},
  };
  for (const auto& row : rows) {
    facts.paranoid = row.level;
    facts.perfmon = row.perfmon;
    EXPECT_EQ(check("perf.paranoid").result, row.result) << row.level;
    EXPECT_TRUE(contains(check("perf.paranoid").detail, row.meaning)) << row.level;
  }
  facts.perfmon = false;
  facts.user_namespace = true;
  EXPECT_TRUE(contains(check("perf.paranoid").cause, "namespace"));
  facts.paranoid.reset();
  EXPECT_EQ(check("perf.paranoid").result, CheckResult::kSkipped);
}

TEST_F(PerfChecksTest, TheWatchdogMattersOnlyWhereItTakesACounter) {
  EXPECT_EQ(check("perf.nmi-watchdog").result, CheckResult::kSkipped);
  host.put("/proc/sys/kernel/nmi_watchdog", "1\n");
  EXPECT_EQ(check("perf.nmi-watchdog").result, CheckResult::kWarning);
  hardware_fails_with(ENOENT);
  EXPECT_EQ(check("perf.nmi-watchdog").result, CheckResult::kOk);
  host.put("/proc/sys/kernel/nmi_watchdog", "0\n");
  EXPECT_EQ(check("perf.nmi-watchdog").result, CheckResult::kOk);
}

TEST_F(PerfChecksTest, SpeIsAskedForOnArmOnly) {
  for (const Check& each : perf_checks(probes, facts, host)) EXPECT_NE(each.name, "perf.spe");
  facts.architecture = machine::kvm::HostArchitecture::kArm64;
  EXPECT_EQ(check("perf.spe").result, CheckResult::kMissing);
  host.put("/sys/bus/event_source/devices/arm_spe_0", "");
  EXPECT_EQ(check("perf.spe").result, CheckResult::kOk);
}

}  // namespace
}  // namespace vpmu::test
