// SPDX-License-Identifier: MIT
#include "hostperf/linux/perf_probe.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

namespace vpmu::hostperf {
namespace {

class FakePerf final : public PerfSystem {
 public:
  std::function<int(const perf_event_attr&)> answer = [](const perf_event_attr&) { return 0; };
  int opened = 0, closed = 0;

  int open(const perf_event_attr& attr) override {
    EXPECT_EQ(attr.disabled, 1u) << "a probe must not count";
    const int error = answer(attr);
    if (error != 0) return -error;
    return 100 + opened++;
  }
  void close(int descriptor) override {
    EXPECT_GE(descriptor, 100);
    ++closed;
  }
};

bool is_hardware(const perf_event_attr& attr) {
  return attr.type == PERF_TYPE_HARDWARE || attr.type == PERF_TYPE_RAW;
}

TEST(PerfProbe, EveryErrnoHasItsMeaning) {
  const struct {
    int error;
    PerfAnswer answer;
  } rows[] = {
      {0, PerfAnswer::kWorks},
      {EACCES, PerfAnswer::kDenied},
      {EPERM, PerfAnswer::kDenied},
      {ENOENT, PerfAnswer::kNoEvent},
      {ENODEV, PerfAnswer::kNoFeature},
      {ENXIO, PerfAnswer::kNoFeature},
      {EOPNOTSUPP, PerfAnswer::kNoFeature},
      {EBUSY, PerfAnswer::kBusy},
      {EMFILE, PerfAnswer::kNoDescriptors},
      {ENFILE, PerfAnswer::kNoDescriptors},
      {ENOSYS, PerfAnswer::kNoSyscall},
      {EINVAL, PerfAnswer::kNotUnderstood},
      {E2BIG, PerfAnswer::kNotUnderstood},
      {EIO, PerfAnswer::kFailed},
  };
  for (const auto& row : rows) EXPECT_EQ(perf_answer(row.error), row.answer) << row.error;
}

TEST(PerfProbe, ClosesEveryEventThatItOpens) {
  FakePerf perf;
  const PerfProbes probes = probe_perf(perf);
  EXPECT_GT(perf.opened, 0);
  EXPECT_EQ(perf.opened, perf.closed);
  EXPECT_EQ(probes.cycles, 0);
  EXPECT_EQ(probes.precise_ip, 3u);
}

TEST(PerfProbe, WithoutPmuOnlySoftwareEventsOpen) {
  FakePerf perf;
  perf.answer = [](const perf_event_attr& attr) { return is_hardware(attr) ? ENOENT : 0; };
  const PerfProbes probes = probe_perf(perf);
  EXPECT_EQ(probes.software, 0);
  EXPECT_EQ(probes.kernel, 0);
  for (const int error :
       {probes.cycles, probes.instructions, probes.raw, probes.branch_stack, probes.precise}) {
    EXPECT_EQ(error, ENOENT);
  }
}

TEST(PerfProbe, TellsKernelCodeFromUserCode) {
  FakePerf perf;
  perf.answer = [](const perf_event_attr& attr) { return attr.exclude_kernel ? 0 : EACCES; };
  const PerfProbes probes = probe_perf(perf);
  EXPECT_EQ(probes.kernel, EACCES);
  EXPECT_EQ(probes.software, 0);
  EXPECT_EQ(probes.cycles, 0);
  EXPECT_EQ(probes.branch_stack, 0);
}

TEST(PerfProbe, BranchStacksAndPreciseSamplesAreProbedOnTheirOwn) {
  FakePerf perf;
  perf.answer = [](const perf_event_attr& attr) {
    if ((attr.sample_type & PERF_SAMPLE_BRANCH_STACK) != 0) return EOPNOTSUPP;
    return attr.precise_ip > 2 ? EINVAL : 0;
  };
  const PerfProbes probes = probe_perf(perf);
  EXPECT_EQ(probes.branch_stack, EOPNOTSUPP);
  EXPECT_EQ(probes.precise, 0);
  EXPECT_EQ(probes.precise_ip, 2u);
  EXPECT_EQ(probes.cycles, 0);
}

TEST(PerfProbe, TheRealKernelGivesAnAnswer) {
  LinuxPerfSystem perf;
  const PerfProbes once = probe_perf(perf), again = probe_perf(perf);
  EXPECT_EQ(once.software, again.software);
  EXPECT_NE(once.software, EBADF);
  EXPECT_NE(once.software, EINVAL) << "the attributes must be ones that every kernel takes";
}

}  // namespace
}  // namespace vpmu::hostperf
