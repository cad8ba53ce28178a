// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "cli/doctor/checks.hpp"

namespace vpmu::cli::doctor {

namespace {
/// Linux' default since 5.16; run-times of containers often leave the 64 KiB of before.
constexpr std::uint64_t kEnoughLocked = std::uint64_t{8} << 20;
/// Linux' default: the 128 pages that `perf record` uses per CPU, and one for their header.
constexpr long kEnoughBufferKib = 516;
/// A descriptor for each counter of each vCPU, and some for everything else.
constexpr std::uint64_t kEnoughFiles = 1024;

Check locked_memory_check(const HostFacts& facts, std::uint64_t limit) {
  Check check{"limits.memlock", CheckResult::kOk, "", "", ""};
  if (limit == Host::kUnlimited) {
    check.detail = "locked memory is not limited";
    return check;
  }
  check.detail = fmt::format("{} KiB of locked memory", limit >> 10);
  if (facts.lock_memory) {
    check.detail += "; not for this user, who has CAP_IPC_LOCK";
  } else if (limit < kEnoughLocked) {
    check.result = CheckResult::kWarning;
    check.cause = "RLIMIT_MEMLOCK is small: perf's larger ring buffers will be refused (EPERM)";
    check.remedy = "ulimit -l 8192, or `--ulimit memlock=8388608` for a container";
  }
  return check;
}

Check buffer_check(const HostFacts& facts, const Host& host) {
  Check check{"limits.perf-buffer", CheckResult::kOk, "", "", ""};
  const auto kib = read_number(host, "/proc/sys/kernel/perf_event_mlock_kb");
  if (!kib) {
    check.result = CheckResult::kSkipped;
    check.detail = "kernel.perf_event_mlock_kb cannot be read";
    check.cause = "the container hides /proc/sys, or the kernel has no perf";
    return check;
  }
  check.detail = fmt::format("{} KiB of perf ring buffers per user and CPU before memlock", *kib);
  if (*kib < kEnoughBufferKib && !facts.perfmon && !facts.lock_memory) {
    check.result = CheckResult::kWarning;
    check.cause =
        fmt::format("kernel.perf_event_mlock_kb is below its default of {}", kEnoughBufferKib);
    check.remedy = fmt::format("as root: sysctl kernel.perf_event_mlock_kb={}", kEnoughBufferKib);
  }
  return check;
}

Check files_check(std::uint64_t limit) {
  Check check{"limits.open-files", CheckResult::kOk, "", "", ""};
  if (limit == Host::kUnlimited) {
    check.detail = "open files are not limited";
    return check;
  }
  check.detail = fmt::format("{} open files", limit);
  if (limit < kEnoughFiles) {
    check.result = CheckResult::kWarning;
    check.cause = "each counter of each vCPU takes one with host perf";
    check.remedy = fmt::format("ulimit -n {}", kEnoughFiles);
  }
  return check;
}
}  // namespace

Checks limit_checks(const HostFacts& facts, const Host& host) {
  return {locked_memory_check(facts, host.limit(LimitKind::kLockedMemory)),
          buffer_check(facts, host), files_check(host.limit(LimitKind::kOpenFiles))};
}

}  // namespace vpmu::cli::doctor
