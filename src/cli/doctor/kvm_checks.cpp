// SPDX-License-Identifier: MIT
#include <cerrno>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/errno_name.hpp"

namespace vpmu::cli::doctor {

namespace {
using hostperf::PerfAnswer;
using machine::kvm::Capability;
using machine::kvm::HostArchitecture;
using machine::kvm::KvmProbes;
using Step = KvmProbes::Step;

constexpr const char* kDevice = "/dev/kvm";

Check skipped(const std::string& name, const std::string& cause) {
  return {name, CheckResult::kSkipped, "not checked", cause, ""};
}

/// The device is not there: for one of three reasons.
void explain_absence(const HostFacts& facts, Check& check) {
  check.result = CheckResult::kMissing;
  if (facts.container) {
    check.cause = "this container was started without the device, or the host has no KVM";
    check.remedy = "start the container with `--device /dev/kvm`, on a host that has it";
  } else if (facts.architecture == HostArchitecture::kX86 && !facts.virtualization) {
    check.cause =
        facts.virtual_machine
            ? "this virtual machine's CPU shows neither VMX nor SVM, and no other KVM "
              "module is loaded"
            : "the CPU shows neither VMX nor SVM: switched off in the firmware, or absent";
    check.remedy = facts.virtual_machine ? "let its host allow nested virtualization"
                                         : "switch virtualization on in the firmware set-up";
  } else {
    check.cause = "the kernel module is not loaded";
    check.remedy = facts.architecture == HostArchitecture::kX86
                       ? fmt::format("as root: modprobe {}", facts.amd ? "kvm_amd" : "kvm_intel")
                       : "use a kernel with CONFIG_KVM, started at EL2";
  }
}

std::string mode_remedy(const FileOwner& owner, const HostFacts& facts) {
  constexpr unsigned kGroupReadWrite = 060;
  if ((owner.mode & kGroupReadWrite) != kGroupReadWrite) {
    return "as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm, and be in group kvm";
  }
  if (facts.container) {
    return fmt::format("start the container with `--device /dev/kvm --group-add {}`", owner.group);
  }
  return owner.group_name.empty()
             ? fmt::format("as root: give group {} a name, and add this user to it", owner.group)
             : fmt::format("as root: usermod -aG {} USER; then log in again", owner.group_name);
}

void explain_permission(const HostFacts& facts, const Host& host, Check& check) {
  check.result = CheckResult::kDenied;
  const auto owner = host.owner(kDevice);
  if (!owner) {
    check.cause = fmt::format("user {} may not open it", facts.user);
    check.remedy = "become a member of the group that owns /dev/kvm";
    return;
  }
  const std::string group =
      owner->group_name.empty() ? fmt::to_string(owner->group) : owner->group_name;
  check.cause = fmt::format("its permissions are {:04o}, owner {}, group {}; this is user {}",
                            owner->mode, owner->user, group, facts.user);
  check.remedy = mode_remedy(*owner, facts);
}

Check device_check(const KvmProbes& probes, const HostFacts& facts, const Host& host) {
  Check check{"kvm.device", CheckResult::kOk, "/dev/kvm opens", "", ""};
  const int error = probes.open_error;
  if (error == 0) return check;
  check.detail = fmt::format("/dev/kvm does not open ({})", errno_name(error));
  switch (error) {
    case ENOENT: explain_absence(facts, check); return check;
    case ENODEV:
    case ENXIO:
      check.result = CheckResult::kMissing;
      check.cause = "the device file is there, but no KVM module behind it";
      check.remedy = fmt::format("as root: modprobe {}", facts.amd ? "kvm_amd" : "kvm_intel");
      return check;
    case EACCES: explain_permission(facts, host, check); return check;
    case EPERM:
      check.result = CheckResult::kDenied;
      check.cause = "the container's device rules or a security module forbid it";
      check.remedy = "start the container with `--device /dev/kvm`";
      return check;
    case EMFILE:
    case ENFILE:
      check.result = CheckResult::kFailed;
      check.cause = "too many open files";
      check.remedy = "raise the limit: ulimit -n";
      return check;
    default:
      check.result = CheckResult::kFailed;
      check.cause = "the kernel refuses, for a reason that vpmu does not know";
      check.remedy = "look into the kernel's log: dmesg";
      return check;
  }
}

Check api_check(const KvmProbes& probes) {
  Check check{"kvm.api", CheckResult::kOk, "", "", ""};
  if (probes.reached < Step::kVersion) return skipped(check.name, "needs kvm.device");
  if (probes.api_version == machine::kvm::kApiVersion) {
    check.detail = fmt::format("version {}", probes.api_version);
    return check;
  }
  check.result = CheckResult::kFailed;
  if (probes.api_version < 0) {
    check.detail = fmt::format("does not tell its version ({})", errno_name(-probes.api_version));
    check.cause = "/dev/kvm is not KVM's, or a seccomp filter is in the way";
    check.remedy = "look at what /dev/kvm is: ls -l /dev/kvm";
  } else {
    check.detail = fmt::format("version {}, not {}", probes.api_version, machine::kvm::kApiVersion);
    check.cause = "a KVM that is not Linux's stable one";
    check.remedy = "use Linux's KVM";
  }
  return check;
}

Check vm_check(const KvmProbes& probes) {
  Check check{"kvm.vm", CheckResult::kOk, "a VM can be created", "", ""};
  if (probes.reached < Step::kCreateVm) {
    return skipped(check.name,
                   probes.reached < Step::kVersion ? "needs kvm.device" : "needs kvm.api");
  }
  const int error = probes.create_error;
  if (error == 0) return check;
  check.result = CheckResult::kFailed;
  check.detail = fmt::format("a VM cannot be created ({})", errno_name(error));
  switch (error) {
    case EBUSY:
      check.cause = "another hypervisor has the CPU's virtualization for itself";
      check.remedy = "end it (VirtualBox, VMware), or unload its module";
      break;
    case ENOMEM:
      check.cause = "the kernel has no memory for it, or this process is not given any";
      check.remedy = "look at the memory limit of the container or service";
      break;
    case EACCES:
    case EPERM:
      check.result = CheckResult::kDenied;
      check.cause = "a security module or seccomp filter forbids it";
      check.remedy = "allow KVM's ioctls in the container's or service's policy";
      break;
    case EMFILE:
    case ENFILE:
      check.cause = "too many open files";
      check.remedy = "raise the limit: ulimit -n";
      break;
    default:
      check.cause = "the kernel refuses, for a reason that vpmu does not know";
      check.remedy = "look into the kernel's log: dmesg";
      break;
  }
  return check;
}

Check capability_check(const Capability& capability, int value) {
  Check check{fmt::format("kvm.{}", capability.check), CheckResult::kOk, "", "", ""};
  if (value > 0) {
    check.detail = fmt::format("{}, for {}", capability.symbol, capability.needed_for);
    return check;
  }
  check.detail = fmt::format("no {}, for {}", capability.symbol, capability.needed_for);
  if (value < 0) {
    check.result = CheckResult::kFailed;
    check.cause = fmt::format("the question ended with {}", errno_name(-value));
    return check;
  }
  check.result = CheckResult::kMissing;
  check.cause =
      fmt::format("the kernel is older than Linux {}, or built without it", capability.since);
  check.remedy = fmt::format("use Linux {} or later", capability.since);
  return check;
}

/// KVM says 0 for what depends on its vPMU whenever it has none to give.
void blame_vpmu(Check& check, const Capability& capability) {
  if (check.result != CheckResult::kMissing) return;
  check.cause = fmt::format("KVM has no vPMU to switch (see kvm.vpmu), or Linux is older than {}",
                            capability.since);
  check.remedy = "";
}

std::string offer(const machine::kvm::OfferedPmu& pmu, const HostFacts& facts) {
  if (pmu.version != 0) {
    return fmt::format("guests can have a PMU of version {} with {} counters and {} fixed ones",
                       pmu.version, pmu.counters, pmu.fixed_counters);
  }
  if (pmu.amd_perfmon_v2) return "guests can have AMD's PerfMonV2";
  if (pmu.amd_core_extension) return "guests can have AMD's core counters";
  (void)facts;
  return "";
}

void explain_no_vpmu(PerfAnswer hardware, bool switched_off, Check& check) {
  check.result = CheckResult::kMissing;
  check.detail = "KVM offers guests no PMU";
  check.remedy = "none for KVM; `vpmu run` gives a guest a PMU all the same";
  if (hardware == PerfAnswer::kNoEvent || hardware == PerfAnswer::kNoFeature) {
    check.cause = "the host has no PMU to share (see perf.hardware)";
  } else if (hardware == PerfAnswer::kWorks && switched_off) {
    check.cause = "kvm.enable_pmu=N: KVM's vPMU is switched off on this host";
    check.remedy = "as root: add `options kvm enable_pmu=1` to /etc/modprobe.d, and load kvm again";
  } else if (hardware == PerfAnswer::kWorks) {
    check.cause = "the host's PMU works, but this KVM does not virtualize it";
  } else {
    check.cause = fmt::format("{}why cannot be told without hardware events (see perf.hardware)",
                              switched_off ? "kvm.enable_pmu=N; " : "");
  }
}

Check vpmu_check(const KvmProbes& probes, const HostFacts& facts, const Host& host,
                 PerfAnswer hardware) {
  Check check{"kvm.vpmu", CheckResult::kOk, "", "", ""};
  if (probes.cpuid_error != 0) {
    check.result = CheckResult::kFailed;
    check.detail = "what KVM offers in CPUID is not known";
    check.cause =
        fmt::format("KVM_GET_SUPPORTED_CPUID ended with {}", errno_name(probes.cpuid_error));
    return check;
  }
  check.detail = offer(probes.pmu, facts);
  if (!check.detail.empty()) return check;
  const auto parameter = host.read("/sys/module/kvm/parameters/enable_pmu");
  const bool switched_off = parameter && (parameter->front() == 'N' || parameter->front() == '0');
  const bool switched_on = parameter && !switched_off;
  if (facts.amd && switched_on && hardware == PerfAnswer::kWorks) {
    check.detail = "guests can have AMD's four oldest counters";
    return check;
  }
  explain_no_vpmu(hardware, switched_off, check);
  return check;
}

constexpr int kPmuCapability = 212;
}  // namespace

Checks kvm_checks(const KvmProbes& probes, const HostFacts& facts, const Host& host,
                  PerfAnswer hardware) {
  Checks checks{device_check(probes, facts, host), api_check(probes), vm_check(probes)};
  const bool asked = probes.reached == Step::kAll;
  const std::string needs = probes.open_error != 0 ? "needs kvm.device" : "needs kvm.vm";
  const bool x86 = facts.architecture == HostArchitecture::kX86;
  if (x86) {
    checks.push_back(asked ? vpmu_check(probes, facts, host, hardware)
                           : skipped("kvm.vpmu", needs));
  }
  std::size_t i = 0;
  for (const Capability& capability : machine::kvm::capabilities(facts.architecture)) {
    const int value = probes.capabilities[i++];
    if (!asked) {
      checks.push_back(skipped(fmt::format("kvm.{}", capability.check), needs));
      continue;
    }
    checks.push_back(capability_check(capability, value));
    if (capability.number == kPmuCapability) blame_vpmu(checks.back(), capability);
  }
  return checks;
}

}  // namespace vpmu::cli::doctor
