// SPDX-License-Identifier: MIT
#include "cli/errno_name.hpp"
#include "unit/doctor/fakes.hpp"

namespace vpmu::test {
namespace {

using cli::doctor::HostFacts;
using cli::doctor::kvm_checks;
using hostperf::PerfAnswer;
using machine::kvm::HostArchitecture;
using machine::kvm::KvmProbes;

constexpr const char* kEnablePmu = "/sys/module/kvm/parameters/enable_pmu";

class KvmChecksTest : public testing::Test {
 protected:
  KvmProbes probes = [] {
    KvmProbes all;
    all.reached = KvmProbes::Step::kAll;
    all.api_version = 12;
    all.capabilities.fill(1);
    all.pmu = {.version = 2, .counters = 8, .fixed_counters = 3};
    return all;
  }();
  HostFacts facts = [] {
    HostFacts user;
    user.user = 1000;
    user.architecture = HostArchitecture::kX86;
    user.virtualization = true;
    return user;
  }();
  FakeHost host;
  PerfAnswer hardware = PerfAnswer::kWorks;

  Checks checks() { return kvm_checks(probes, facts, host, hardware); }
  Check check(const char* name) { return find(checks(), name); }
  void open_fails_with(int error) {
    probes = {};
    probes.open_error = error;
  }
};

TEST_F(KvmChecksTest, EverythingThatWorksIsOk) {
  for (const Check& each : checks()) EXPECT_EQ(each.result, CheckResult::kOk) << each.name;
  EXPECT_TRUE(contains(check("kvm.vpmu").detail, "version 2 with 8 counters and 3 fixed"));
  EXPECT_EQ(checks().size(), 4u + capabilities(HostArchitecture::kX86).size());
}

TEST_F(KvmChecksTest, AnAbsentDeviceHasThreeReasons) {
  open_fails_with(ENOENT);
  EXPECT_TRUE(contains(check("kvm.device").remedy, "modprobe kvm_intel"));
  facts.amd = true;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "modprobe kvm_amd"));
  facts.virtualization = false;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "firmware"));
  facts.virtual_machine = true;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "nested"));
  facts.container = true;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "--device /dev/kvm"));
  EXPECT_EQ(check("kvm.device").result, CheckResult::kMissing);
  facts.container = false;
  facts.architecture = HostArchitecture::kArm64;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "CONFIG_KVM"));
}

TEST_F(KvmChecksTest, NoPermissionNamesTheGroupThatHasIt) {
  open_fails_with(EACCES);
  host.owners["/dev/kvm"] = {.user = 0, .group = 104, .mode = 0660, .group_name = "kvm"};
  EXPECT_EQ(check("kvm.device").result, CheckResult::kDenied);
  EXPECT_TRUE(contains(check("kvm.device").cause, "0660, owner 0, group kvm; this is user 1000"));
  EXPECT_TRUE(contains(check("kvm.device").remedy, "usermod -aG kvm"));
  facts.container = true;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "--group-add 104"));
  host.owners["/dev/kvm"].mode = 0600;
  EXPECT_TRUE(contains(check("kvm.device").remedy, "chmod 660"));
  host.owners["/dev/kvm"] = {.user = 0, .group = 993, .mode = 0660, .group_name = ""};
  EXPECT_TRUE(contains(check("kvm.device").cause, "group 993"));
  host.owners.clear();
  EXPECT_EQ(check("kvm.device").result, CheckResult::kDenied);
  EXPECT_FALSE(check("kvm.device").cause.empty());
}

TEST_F(KvmChecksTest, OtherErrorsOfTheDeviceHaveTheirCause) {
  const struct {
    int error;
    CheckResult result;
    const char* text;
  } rows[] = {
      {EPERM, CheckResult::kDenied, "--device /dev/kvm"},
      {ENODEV, CheckResult::kMissing, "no KVM module"},
      {ENXIO, CheckResult::kMissing, "no KVM module"},
      {EMFILE, CheckResult::kFailed, "ulimit -n"},
      {ENFILE, CheckResult::kFailed, "ulimit -n"},
      {EIO, CheckResult::kFailed, "dmesg"},
  };
  for (const auto& row : rows) {
    open_fails_with(row.error);
    EXPECT_EQ(check("kvm.device").result, row.result) << row.error;
    EXPECT_TRUE(contains(all_text(check("kvm.device")), row.text)) << row.error;
    EXPECT_TRUE(contains(check("kvm.device").detail, cli::errno_name(row.error)));
  }
}

TEST_F(KvmChecksTest, WhatWasNotReachedIsSkippedAndSaysWhatItNeeds) {
  open_fails_with(ENOENT);
  for (const Check& each : checks()) {
    if (each.name == "kvm.device") continue;
    EXPECT_EQ(each.result, CheckResult::kSkipped) << each.name;
    EXPECT_EQ(each.cause, "needs kvm.device");
  }
  probes.open_error = 0;
  probes.reached = KvmProbes::Step::kVersion;
  probes.api_version = 11;
  EXPECT_EQ(check("kvm.api").result, CheckResult::kFailed);
  EXPECT_TRUE(contains(check("kvm.api").detail, "11"));
  EXPECT_EQ(check("kvm.vm").cause, "needs kvm.api");
  probes.api_version = -ENOTTY;
  EXPECT_TRUE(contains(check("kvm.api").detail, "ENOTTY"));
  EXPECT_EQ(check("kvm.irqchip").cause, "needs kvm.vm");
}

TEST_F(KvmChecksTest, AVmThatCannotBeCreatedHasItsCause) {
  const struct {
    int error;
    CheckResult result;
    const char* cause;
  } rows[] = {
      {EBUSY, CheckResult::kFailed, "another hypervisor"},
      {ENOMEM, CheckResult::kFailed, "memory"},
      {EPERM, CheckResult::kDenied, "security module"},
      {EACCES, CheckResult::kDenied, "security module"},
      {EMFILE, CheckResult::kFailed, "open files"},
      {EINVAL, CheckResult::kFailed, "does not know"},
  };
  probes.reached = KvmProbes::Step::kCreateVm;
  for (const auto& row : rows) {
    probes.create_error = row.error;
    EXPECT_EQ(check("kvm.vm").result, row.result) << row.error;
    EXPECT_TRUE(contains(check("kvm.vm").cause, row.cause)) << row.error;
    EXPECT_EQ(check("kvm.vpmu").result, CheckResult::kSkipped);
  }
}

TEST_F(KvmChecksTest, AMissingCapabilityNamesTheKernelThatHasIt) {
  probes.capabilities.fill(0);
  for (const auto& capability : capabilities(HostArchitecture::kX86)) {
    const Check each = check((std::string{"kvm."} + capability.check).c_str());
    EXPECT_EQ(each.result, CheckResult::kMissing);
    EXPECT_TRUE(contains(each.detail, capability.symbol));
    EXPECT_TRUE(contains(each.cause, capability.since));
  }
  EXPECT_TRUE(contains(check("kvm.pmu-capability").cause, "kvm.vpmu"));
  probes.capabilities.fill(-EFAULT);
  EXPECT_EQ(check("kvm.irqchip").result, CheckResult::kFailed);
  EXPECT_TRUE(contains(check("kvm.irqchip").cause, "EFAULT"));
}

TEST_F(KvmChecksTest, ADisabledVpmuIsNotAHostWithoutPmu) {
  probes.pmu = {};
  host.put(kEnablePmu, "N\n");
  const struct {
    PerfAnswer hardware;
    const char* cause;
    bool host_has_none;
  } rows[] = {
      {PerfAnswer::kWorks, "switched off", false},
      {PerfAnswer::kNoEvent, "the host has no PMU", true},
      {PerfAnswer::kNoFeature, "the host has no PMU", true},
      {PerfAnswer::kDenied, "cannot be told", false},
      {PerfAnswer::kNoSyscall, "cannot be told", false},
      {PerfAnswer::kBusy, "cannot be told", false},
  };
  for (const auto& row : rows) {
    hardware = row.hardware;
    EXPECT_EQ(check("kvm.vpmu").result, CheckResult::kMissing);
    EXPECT_TRUE(contains(check("kvm.vpmu").cause, row.cause)) << check("kvm.vpmu").cause;
    EXPECT_EQ(contains(check("kvm.vpmu").cause, "the host has no PMU"), row.host_has_none);
  }
  hardware = PerfAnswer::kWorks;
  host.files.clear();
  EXPECT_TRUE(contains(check("kvm.vpmu").cause, "does not virtualize"));
}

TEST_F(KvmChecksTest, AmdsPmusAreNamed) {
  probes.pmu = {.amd_core_extension = true, .amd_perfmon_v2 = true};
  EXPECT_TRUE(contains(check("kvm.vpmu").detail, "PerfMonV2"));
  probes.pmu = {.amd_core_extension = true};
  EXPECT_TRUE(contains(check("kvm.vpmu").detail, "core counters"));
  probes.pmu = {};
  facts.amd = true;
  host.put(kEnablePmu, "Y\n");
  EXPECT_EQ(check("kvm.vpmu").result, CheckResult::kOk);
  EXPECT_TRUE(contains(check("kvm.vpmu").detail, "four oldest"));
}

TEST_F(KvmChecksTest, CpuidMayFail) {
  probes.cpuid_error = E2BIG;
  EXPECT_EQ(check("kvm.vpmu").result, CheckResult::kFailed);
  EXPECT_TRUE(contains(check("kvm.vpmu").cause, "E2BIG"));
}

TEST_F(KvmChecksTest, ArmIsAskedForItsOwnCapabilities) {
  facts.architecture = HostArchitecture::kArm64;
  EXPECT_EQ(check("kvm.arm-pmu-v3").result, CheckResult::kOk);
  for (const Check& each : checks()) {
    EXPECT_NE(each.name, "kvm.vpmu");
    EXPECT_NE(each.name, "kvm.msr-filter");
  }
}

}  // namespace
}  // namespace vpmu::test
