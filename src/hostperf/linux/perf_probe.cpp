// SPDX-License-Identifier: MIT
#include "hostperf/linux/perf_probe.hpp"

#include <cerrno>

namespace vpmu::hostperf {

namespace {
/// Instructions retired in Intel's architectural and AMD's encoding; on Arm the same number is an
/// implementation's own event, which the PMU takes too.
constexpr std::uint64_t kRawInstructions = 0xc0;
constexpr std::uint64_t kSamplePeriod = 100'000;
constexpr unsigned kHighestPreciseIp = 3;

perf_event_attr user_event(std::uint32_t type, std::uint64_t config) {
  perf_event_attr attr{};
  attr.size = sizeof attr;
  attr.type = type;
  attr.config = config;
  attr.disabled = 1;
  attr.exclude_kernel = 1;
  attr.exclude_hv = 1;
  return attr;
}

int error_of(PerfSystem& system, const perf_event_attr& attr) {
  const int descriptor = system.open(attr);
  if (descriptor < 0) return -descriptor;
  system.close(descriptor);
  return 0;
}

int probe_kernel(PerfSystem& system) {
  perf_event_attr attr = user_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
  attr.exclude_kernel = 0;
  return error_of(system, attr);
}

int probe_branch_stack(PerfSystem& system) {
  perf_event_attr attr = user_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
  attr.sample_period = kSamplePeriod;
  attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_BRANCH_STACK;
  attr.branch_sample_type = PERF_SAMPLE_BRANCH_USER | PERF_SAMPLE_BRANCH_ANY;
  return error_of(system, attr);
}

void probe_precise(PerfSystem& system, PerfProbes& probes) {
  perf_event_attr attr = user_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
  attr.sample_period = kSamplePeriod;
  attr.sample_type = PERF_SAMPLE_IP;
  for (unsigned level = 1; level <= kHighestPreciseIp; ++level) {
    attr.precise_ip = level;
    const int error = error_of(system, attr);
    if (level == 1) probes.precise = error;
    if (error != 0) return;
    probes.precise_ip = level;
  }
}
}  // namespace

PerfAnswer perf_answer(int error) {
  switch (error) {
    case 0: return PerfAnswer::kWorks;
    case EACCES:
    case EPERM: return PerfAnswer::kDenied;
    case ENOENT: return PerfAnswer::kNoEvent;
    case EOPNOTSUPP:
    case ENODEV:
    case ENXIO: return PerfAnswer::kNoFeature;
    case EBUSY: return PerfAnswer::kBusy;
    case EMFILE:
    case ENFILE: return PerfAnswer::kNoDescriptors;
    case ENOSYS: return PerfAnswer::kNoSyscall;
    case EINVAL:
    case E2BIG: return PerfAnswer::kNotUnderstood;
    default: return PerfAnswer::kFailed;
  }
}

PerfProbes probe_perf(PerfSystem& system) {
  PerfProbes probes;
  probes.software = error_of(system, user_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK));
  probes.kernel = probe_kernel(system);
  probes.cycles = error_of(system, user_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES));
  probes.instructions =
      error_of(system, user_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS));
  probes.raw = error_of(system, user_event(PERF_TYPE_RAW, kRawInstructions));
  probes.branch_stack = probe_branch_stack(system);
  probe_precise(system, probes);
  return probes;
}

}  // namespace vpmu::hostperf
