// SPDX-License-Identifier: MIT
//
// The virtual PMU on the modelled host perf: a guest whose instructions are retired by hand, one by
// one, as a CPU would.
#include <array>

#include <gtest/gtest.h>

#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using silicon::Privilege;
using silicon::RawEvent;

constexpr std::uint64_t kEnOsUsr = 1 << 22 | 1 << 17 | 1 << 16;
constexpr std::uint64_t kInt = 1 << 20;
constexpr std::uint64_t kTurn48 = std::uint64_t{1} << 48;

class PmuOnModelledPerf : public testing::Test {
 protected:
  /// One instruction that does nothing but retire.
  void step(Privilege privilege = Privilege::kKernel) {
    if (pmu.has_entry_work()) pmu.before_entry();
    totals.add(RawEvent::kInstructions, privilege, 1);
    totals.add(RawEvent::kCycles, privilege, 2);
    totals.add(RawEvent::kReferenceCycles, privilege, 2);
    ++executed;
    deadlines.fire_due();
    if (pmu.has_entry_work()) pmu.before_entry();
  }
  void steps(int count) {
    for (int n = 0; n < count; ++n) step();
  }
  void wrmsr(MsrIndex index, std::uint64_t value) {
    ASSERT_EQ(pmu.write_msr(index, value, Initiator::kGuest), Access::done());
    pmu.before_entry();
    step();
  }
  std::uint64_t rdpmc(std::uint32_t ecx) {
    const std::uint64_t value = pmu.rdpmc(ecx, true).value();
    step();
    return value;
  }

  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf{model, vcpus};
  FakePmiSink sink;
  Pmu pmu{guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};
  std::uint64_t executed = 0;
};

TEST_F(PmuOnModelledPerf, EnablingWrmsrIsCountedAndDisablingOneIsNot) {
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 0);
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | kEnOsUsr);
  wrmsr(msr::IA32_FIXED_CTR_CTRL, 0x3);
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 1 | 1ULL << 32);
  steps(10);
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 0);
  steps(5);
  EXPECT_EQ(rdpmc(0), 11u);
  EXPECT_EQ(rdpmc(0x40000000), 11u);
}

TEST_F(PmuOnModelledPerf, ReadingIsExactUpToThePreviousInstruction) {
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | kEnOsUsr);
  EXPECT_EQ(rdpmc(0), 1u);  // the WRMSR
  EXPECT_EQ(rdpmc(0), 2u);  // and the first RDPMC
  EXPECT_EQ(rdpmc(0), 3u);
}

TEST_F(PmuOnModelledPerf, PrivilegesAreToldApart) {
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | (1 << 22) | (1 << 16));
  MsrIndex second = static_cast<MsrIndex>(raw(msr::IA32_PERFEVTSEL0) + 1);
  wrmsr(second, 0xc0 | (1 << 22) | (1 << 17));
  step(Privilege::kUser);
  step(Privilege::kUser);
  EXPECT_EQ(pmu.rdpmc(0, true), Access::done(2));
  EXPECT_EQ(pmu.rdpmc(1, true), Access::done(1));
}

TEST_F(PmuOnModelledPerf, OverflowIsOnExactlyTheRightInstruction) {
  wrmsr(msr::IA32_PERFEVTSEL0, 0);
  wrmsr(msr::IA32_A_PMC0, kTurn48 - 100);
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | kEnOsUsr | kInt);
  const std::uint64_t start = executed - 1;
  while (sink.raised == 0) {
    ASSERT_LT(executed - start, 200u);
    step();
  }
  EXPECT_EQ(executed - start, 100u);
  EXPECT_EQ(pmu.rdpmc(0, true), Access::done(0));
}

TEST_F(PmuOnModelledPerf, OverflowingAgainAndAgainLosesNothing) {
  constexpr std::uint64_t kPeriod = 7;
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | kEnOsUsr | kInt);
  wrmsr(msr::IA32_A_PMC0, kTurn48 - kPeriod);
  const std::uint64_t start = executed - 1;
  for (int pmi = 1; pmi <= 100; ++pmi) {
    while (sink.raised < pmi) step();
    ASSERT_EQ(executed - start, kPeriod * static_cast<std::uint64_t>(pmi));
    // A handler that costs no instructions.
    ASSERT_EQ(pmu.write_msr(msr::IA32_A_PMC0, kTurn48 - kPeriod, Initiator::kGuest),
              Access::done());
    pmu.before_entry();
  }
}

TEST_F(PmuOnModelledPerf, EveryCounterCountsTheSameAtOnce) {
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 0);
  for (unsigned i = 0; i < pmu.config().gp_counters; ++i) {
    wrmsr(static_cast<MsrIndex>(raw(msr::IA32_PERFEVTSEL0) + i), 0xc0 | kEnOsUsr);
  }
  wrmsr(msr::IA32_FIXED_CTR_CTRL, 0x333);
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 0xff | 0x7ULL << 32);
  steps(99);
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 0);
  for (unsigned i = 0; i < pmu.config().gp_counters; ++i) {
    EXPECT_EQ(rdpmc(i), 100u) << i;
  }
  EXPECT_EQ(rdpmc(0x40000000), 100u);
  EXPECT_EQ(rdpmc(0x40000001), 200u);
  EXPECT_EQ(rdpmc(0x40000002), 200u);
}

TEST_F(PmuOnModelledPerf, UnknownEventCountsNothingAndSaysSo) {
  wrmsr(msr::IA32_PERFEVTSEL0, 0x802e | kEnOsUsr);
  steps(10);
  EXPECT_EQ(rdpmc(0), 0u);
  EXPECT_EQ(pmu.status(gp_counter(0)), CounterStatus::kUnsupportedEvent);
}

TEST_F(PmuOnModelledPerf, FixedCountersEventOnAGeneralPurposeCounterTakesNothingAway) {
  constexpr std::uint64_t kReferenceCyclesForLinux = 0x0300;
  wrmsr(msr::IA32_PERFEVTSEL0, kReferenceCyclesForLinux | kEnOsUsr);
  wrmsr(msr::IA32_FIXED_CTR_CTRL, 0x300);
  wrmsr(msr::IA32_PERF_GLOBAL_CTRL, 1 | 1ULL << 34);
  steps(10);
  EXPECT_EQ(pmu.rdpmc(0, true), Access::done(0));
  EXPECT_EQ(pmu.status(gp_counter(0)), CounterStatus::kUnsupportedEvent);
  EXPECT_EQ(pmu.rdpmc(0x40000002, true), Access::done(22));  // with the WRMSR
  EXPECT_EQ(pmu.status(fixed_counter(2)), CounterStatus::kCounting);
}

TEST_F(PmuOnModelledPerf, RestoredCounterHasNoHostEventYetAndTimeGoesOn) {
  wrmsr(msr::IA32_PERFEVTSEL0, 0xc0 | kEnOsUsr);
  steps(10);
  const PmuState state = pmu.save();
  Pmu restored{guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};
  ASSERT_TRUE(restored.restore(state));
  EXPECT_EQ(restored.status(gp_counter(0)), CounterStatus::kCounting);
  restored.scheduled_in();
  restored.before_entry();
  step();
  EXPECT_EQ(restored.rdpmc(0, true), Access::done(12));  // with the WRMSR
}

}  // namespace
}  // namespace vpmu::virt::x86
