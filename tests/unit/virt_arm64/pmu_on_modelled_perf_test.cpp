// SPDX-License-Identifier: MIT
//
// The virtual PMUv3 on the modelled host perf: a guest whose instructions are retired by hand, one
// by one, as a CPU would.
#include <array>

#include "unit/virt_arm64/pmu_fixture.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::virt::arm64 {
namespace {

using silicon::Privilege;
using silicon::RawEvent;
using silicon::arm64::SystemRegister;

constexpr std::uint64_t kE = 1;
constexpr std::uint64_t kCycles = std::uint64_t{1} << 31;
constexpr std::uint64_t kNotEl0 = std::uint64_t{1} << 30;
constexpr std::uint16_t kInstRetired = 0x08, kExcTaken = 0x09;

class Arm64PmuOnModelledPerf : public testing::Test {
 protected:
  /// One instruction that does nothing but retire.
  void step(Privilege privilege = Privilege::kKernel) {
    if (pmu.has_entry_work()) pmu.before_entry();
    totals.add(RawEvent::kInstructions, privilege, 1);
    totals.add(RawEvent::kCycles, privilege, 1);
    deadlines.fire_due();
    if (pmu.has_entry_work()) pmu.before_entry();
  }
  void steps(int count, Privilege privilege = Privilege::kKernel) {
    for (int n = 0; n < count; ++n) step(privilege);
  }
  void msr(SystemRegister which, std::uint64_t value) {
    ASSERT_EQ(pmu.write_register(which, value, Privilege::kKernel, Initiator::kGuest),
              Access::done());
    pmu.before_entry();
    step();
  }
  std::uint64_t mrs(SystemRegister which) {
    const Access access = pmu.read_register(which, Privilege::kKernel, Initiator::kGuest);
    EXPECT_TRUE(access.is_done());
    step();
    return access.value();
  }

  const silicon::arm64::CpuModel& model = *silicon::arm64::find_cpu_model("neoverse-n1");
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf{model, vcpus};
  FakeOverflowSink sink;
  Pmu pmu{guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};
};

TEST_F(Arm64PmuOnModelledPerf, EnablingMsrIsCountedAndDisablingOneIsNot) {
  msr(reg::PMEVTYPER_EL0(0), kInstRetired);
  msr(reg::PMCNTENSET_EL0, 1);
  msr(reg::PMCR_EL0, kE);
  steps(10);
  msr(reg::PMCR_EL0, 0);
  steps(5);
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(0)), 11u);
}

TEST_F(Arm64PmuOnModelledPerf, FilterTellsLevelsApart) {
  msr(reg::PMEVTYPER_EL0(0), kInstRetired | kNotEl0);
  msr(reg::PMEVTYPER_EL0(1), kInstRetired | std::uint64_t{1} << 31);
  msr(reg::PMCNTENSET_EL0, 3);
  msr(reg::PMCR_EL0, kE);
  steps(7, Privilege::kUser);
  steps(4, Privilege::kKernel);
  msr(reg::PMCR_EL0, 0);
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(0)), 5u) << "with the MSR that began it";
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(1)), 7u);
}

TEST_F(Arm64PmuOnModelledPerf, InterruptComesOnTheOverflowingInstruction) {
  msr(reg::PMEVTYPER_EL0(0), kInstRetired);
  msr(reg::PMINTENSET_EL1, 1);
  msr(reg::PMEVCNTR_EL0(0), 0x1'0000'0000u - 100);
  msr(reg::PMCNTENSET_EL0, 1);
  msr(reg::PMCR_EL0, kE);
  steps(98);
  EXPECT_FALSE(sink.line);
  step();
  EXPECT_TRUE(sink.line);
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(0)), 0u);
}

TEST_F(Arm64PmuOnModelledPerf, SixEventsAndTheCycleCounterCountAtOnce) {
  for (unsigned n = 0; n < 6; ++n) msr(reg::PMEVTYPER_EL0(n), n == 5 ? 0x11 : kInstRetired);
  msr(reg::PMCNTENSET_EL0, kCycles | 0x3f);
  msr(reg::PMCR_EL0, kE);
  steps(20);
  msr(reg::PMCR_EL0, 0);
  for (unsigned n = 0; n < 6; ++n) EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(n)), 21u) << n;
  EXPECT_EQ(mrs(reg::PMCCNTR_EL0), 21u);
}

TEST_F(Arm64PmuOnModelledPerf, ChainCarriesAndSamplingGoesOn) {
  msr(reg::PMEVTYPER_EL0(2), kInstRetired);
  msr(reg::PMEVTYPER_EL0(3), 0x1e);
  msr(reg::PMEVCNTR_EL0(2), 0xffff'fff0);
  msr(reg::PMCNTENSET_EL0, 0xc);
  msr(reg::PMCR_EL0, kE);
  steps(15);
  EXPECT_EQ(pmu.value(event_counter(2)), 0u);
  EXPECT_EQ(pmu.value(event_counter(3)), 1u);
  steps(100);
  EXPECT_EQ(pmu.value(event_counter(2)), 100u);
  EXPECT_EQ(pmu.statistics().overflows, 1u);
}

TEST_F(Arm64PmuOnModelledPerf, ExceptionsAreCounted) {
  msr(reg::PMEVTYPER_EL0(0), kExcTaken);
  msr(reg::PMCNTENSET_EL0, 1);
  msr(reg::PMCR_EL0, kE);
  totals.add(RawEvent::kExceptions, Privilege::kKernel, 3);
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(0)), 3u);
}

TEST_F(Arm64PmuOnModelledPerf, EventThatTheModelHasNotStandsStill) {
  constexpr std::uint16_t kBusAccess = 0x19;
  msr(reg::PMEVTYPER_EL0(0), kBusAccess);
  msr(reg::PMCNTENSET_EL0, 1);
  msr(reg::PMCR_EL0, kE);
  steps(5);
  EXPECT_EQ(mrs(reg::PMEVCNTR_EL0(0)), 0u);
  EXPECT_EQ(pmu.status(event_counter(0)), CounterStatus::kUnsupportedEvent);
}

TEST_F(Arm64PmuOnModelledPerf, EventsOfSpeStandStillWithoutIt) {
  msr(reg::PMEVTYPER_EL0(0), silicon::arm64::kSamplePop);
  msr(reg::PMCNTENSET_EL0, 1);
  msr(reg::PMCR_EL0, kE);
  EXPECT_EQ(pmu.status(event_counter(0)), CounterStatus::kUnsupportedEvent);
}

TEST_F(Arm64PmuOnModelledPerf, EveryEnumeratedEventCanBeCounted) {
  for (unsigned word = 0; word < 2; ++word) {
    const std::uint64_t events = mrs(word == 0 ? reg::PMCEID0_EL0 : reg::PMCEID1_EL0);
    for (unsigned place = 0; place < 64; ++place) {
      const unsigned number = 32 * word + place % 32 + (place < 32 ? 0 : 0x4000);
      msr(reg::PMEVTYPER_EL0(1), number);
      msr(reg::PMCNTENSET_EL0, 2);
      msr(reg::PMCR_EL0, kE);
      EXPECT_EQ((events >> place & 1) != 0,
                pmu.status(event_counter(1)) == CounterStatus::kCounting)
          << number;
    }
  }
}

}  // namespace
}  // namespace vpmu::virt::arm64
