// SPDX-License-Identifier: MIT
#include <cerrno>

#include <fmt/format.h>

#include "cli/doctor/checks.hpp"
#include "cli/errno_name.hpp"

namespace vpmu::cli::doctor {

namespace {
using hostperf::perf_answer;
using hostperf::PerfAnswer;
using hostperf::PerfProbes;

constexpr int kUserOnly = 2;  // paranoid levels of Linux itself end here
constexpr int kNobody = 3;    // Debian and Android; Ubuntu has 4 as well

/// Every wording of "you may not" comes from here, and none of it says what there is.
void explain_denial(int error, bool kernel_code, const HostFacts& facts, Check& check) {
  check.result = CheckResult::kDenied;
  const int level = facts.paranoid.value_or(kUserOnly);
  if (error == EPERM && facts.seccomp) {
    check.cause = "a seccomp filter refuses perf_event_open, as container run-times do by default";
    check.remedy = "start the container with `--cap-add PERFMON`, or a profile that allows it";
  } else if (error == EACCES && !facts.perfmon && level >= (kernel_code ? kUserOnly : kNobody)) {
    check.cause = fmt::format("no permission: kernel.perf_event_paranoid is {}{}", level,
                              facts.paranoid ? "" : " or more (it cannot be read)");
    check.remedy = fmt::format("as root, on the host: sysctl kernel.perf_event_paranoid={}",
                               kernel_code ? 1 : 2);
    if (!facts.user_namespace) check.remedy += "; or give vpmu CAP_PERFMON";
  } else {
    check.cause = "no permission: a security module or the container's policy refuses it";
    check.remedy = "allow perf_event_open in that policy";
  }
}

/// What is the same for all kinds of events. `subject` names them.
void explain(int error, const char* subject, const HostFacts& facts, Check& check) {
  check.detail = fmt::format("{} do not open ({})", subject, errno_name(error));
  check.result = CheckResult::kFailed;
  switch (perf_answer(error)) {
    case PerfAnswer::kDenied: explain_denial(error, false, facts, check); break;
    case PerfAnswer::kNoSyscall:
      check.result = CheckResult::kMissing;
      check.cause = facts.seccomp ? "a seccomp filter hides perf_event_open, or the kernel is "
                                    "built without CONFIG_PERF_EVENTS"
                                  : "the kernel is built without CONFIG_PERF_EVENTS";
      check.remedy = facts.seccomp ? "start the container with a seccomp profile that allows it"
                                   : "use a kernel with CONFIG_PERF_EVENTS";
      break;
    case PerfAnswer::kBusy:
      check.cause = "somebody has the PMU for himself: an exclusive event, or another profiler";
      check.remedy = "end the other profiler";
      break;
    case PerfAnswer::kNoDescriptors:
      check.cause = "too many open files";
      check.remedy = "raise the limit: ulimit -n";
      break;
    case PerfAnswer::kNotUnderstood:
      check.cause = "this kernel does not accept such an event";
      check.remedy = "use a newer kernel";
      break;
    case PerfAnswer::kNoEvent:
    case PerfAnswer::kNoFeature:
      check.result = CheckResult::kMissing;
      check.cause = "this kernel or CPU cannot count them";
      break;
    case PerfAnswer::kWorks:
    case PerfAnswer::kFailed:
      check.cause = "the kernel refuses, for a reason that vpmu does not know";
      check.remedy = "look into the kernel's log: dmesg";
      break;
  }
}

Check syscall_check(const PerfProbes& probes, const HostFacts& facts) {
  Check check{"perf.syscall", CheckResult::kOk, "perf_event_open is there", "", ""};
  const PerfAnswer answer = perf_answer(probes.software);
  if (answer == PerfAnswer::kNoSyscall || answer == PerfAnswer::kDenied) {
    explain(probes.software, "events", facts, check);
  }
  return check;
}

Check software_check(const PerfProbes& probes, const HostFacts& facts) {
  Check check{"perf.software", CheckResult::kOk, "software events open (task-clock)", "", ""};
  if (probes.software != 0) explain(probes.software, "software events", facts, check);
  return check;
}

void explain_no_pmu(const HostFacts& facts, Check& check) {
  check.result = CheckResult::kMissing;
  check.cause = facts.virtual_machine
                    ? "no PMU: the hypervisor below gives this virtual machine none"
                    : "no PMU: the kernel has no driver for this CPU's";
  check.remedy =
      facts.virtual_machine
          ? "let the hypervisor give it one; guests of `vpmu run` have their own PMU"
          : "look for the reason in the kernel's log: dmesg | grep -i 'performance events'";
}

Check hardware_check(const PerfProbes& probes, const HostFacts& facts, const Host& host) {
  Check check{"perf.hardware", CheckResult::kOk, "cycles and instructions open", "", ""};
  const int error = probes.cycles != 0 ? probes.cycles : probes.instructions;
  if (error == 0) return check;
  explain(error, probes.cycles != 0 ? "cycles" : "instructions", facts, check);
  if (perf_answer(error) == PerfAnswer::kNoEvent) explain_no_pmu(facts, check);
  // What the kernel lists does not depend on who asks.
  const bool listed = host.exists("/sys/bus/event_source/devices/cpu") ||
                      host.exists("/sys/bus/event_source/devices/cpu_core");
  if (check.result == CheckResult::kDenied && listed) check.detail += "; the host has a PMU";
  return check;
}

Check kernel_check(const PerfProbes& probes, const HostFacts& facts) {
  Check check{"perf.kernel", CheckResult::kOk, "kernel code may be counted", "", ""};
  if (probes.kernel == 0) return check;
  explain(probes.kernel, "events of kernel code", facts, check);
  if (check.result == CheckResult::kDenied) explain_denial(probes.kernel, true, facts, check);
  return check;
}

/// Something that needs the PMU: where that does not open, it is to blame.
Check feature_check(const char* name, const char* subject, const std::string& works, int error,
                    const PerfProbes& probes, const HostFacts& facts) {
  Check check{name, CheckResult::kOk, works, "", ""};
  if (error == 0) return check;
  if (probes.cycles != 0) {
    return {name, CheckResult::kSkipped, "not checked", "needs perf.hardware", ""};
  }
  explain(error, subject, facts, check);
  return check;
}

std::string paranoid_meaning(int level) {
  if (level >= kNobody) return "nobody without CAP_PERFMON may use perf";
  switch (level) {
    case kUserOnly: return "users may count user code of their own processes";
    case 1: return "users may count their own processes, kernel code too";
    case 0: return "users may count whole CPUs too";
    default: return "everybody may do everything";
  }
}

Check paranoid_check(const HostFacts& facts) {
  Check check{"perf.paranoid", CheckResult::kOk, "", "", ""};
  if (!facts.paranoid) {
    check.result = CheckResult::kSkipped;
    check.detail = "kernel.perf_event_paranoid cannot be read";
    check.cause = "the container hides /proc/sys, or the kernel has no perf";
    return check;
  }
  check.detail = fmt::format("kernel.perf_event_paranoid={}: {}", *facts.paranoid,
                             paranoid_meaning(*facts.paranoid));
  if (facts.perfmon) {
    check.detail += "; this user has CAP_PERFMON";
  } else if (*facts.paranoid >= kUserOnly) {
    check.result = CheckResult::kWarning;
    check.cause = facts.user_namespace
                      ? "capabilities in a user namespace of one's own do not count for perf"
                      : "this user has neither CAP_PERFMON nor CAP_SYS_ADMIN";
    check.remedy = "as root, on the host: sysctl kernel.perf_event_paranoid=1";
  }
  return check;
}

Check watchdog_check(const PerfProbes& probes, const Host& host) {
  Check check{"perf.nmi-watchdog", CheckResult::kOk, "", "", ""};
  const auto watchdog = read_number(host, "/proc/sys/kernel/nmi_watchdog");
  if (!watchdog) {
    check.result = CheckResult::kSkipped;
    check.detail = "kernel.nmi_watchdog cannot be read";
    check.cause = "the container hides /proc/sys, or the kernel has no watchdog";
  } else if (*watchdog == 0) {
    check.detail = "off: it takes no counter";
  } else if (probes.cycles == 0) {
    check.result = CheckResult::kWarning;
    check.detail = "on: it holds one hardware counter of every CPU";
    check.cause = "kernel.nmi_watchdog=1";
    check.remedy = "as root: sysctl kernel.nmi_watchdog=0";
  } else {
    check.detail = "on; hardware events do not open anyway";
  }
  return check;
}
}  // namespace

Checks perf_checks(const PerfProbes& probes, const HostFacts& facts, const Host& host) {
  Checks checks{syscall_check(probes, facts), software_check(probes, facts),
                hardware_check(probes, facts, host), kernel_check(probes, facts)};
  checks.push_back(feature_check("perf.raw", "raw events", "events open by the CPU's own codes",
                                 probes.raw, probes, facts));
  checks.push_back(feature_check("perf.branch-stack", "branch stacks",
                                 "branch stacks open (LBR and its like)", probes.branch_stack,
                                 probes, facts));
  checks.push_back(
      feature_check("perf.precise", "precise samples",
                    fmt::format("precise samples open, precise_ip up to {}", probes.precise_ip),
                    probes.precise, probes, facts));
  if (facts.architecture == machine::kvm::HostArchitecture::kArm64) {
    const bool there = host.exists("/sys/bus/event_source/devices/arm_spe_0");
    checks.push_back({"perf.spe", there ? CheckResult::kOk : CheckResult::kMissing,
                      there ? "the kernel has an SPE device" : "the kernel has no SPE device",
                      there ? ""
                            : "the CPU has no SPE, its firmware hides it, or module "
                              "arm_spe_pmu is not loaded",
                      there ? "" : "as root: modprobe arm_spe_pmu"});
  }
  checks.push_back(paranoid_check(facts));
  checks.push_back(watchdog_check(probes, host));
  return checks;
}

}  // namespace vpmu::cli::doctor
