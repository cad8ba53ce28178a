// SPDX-License-Identifier: MIT
//
// Guests' last branch records on the modelled host: two vCPUs take turns on one host CPU, and the
// host wants its unit too.
#include <array>
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"
#include "vpmu/silicon/deadlines.hpp"
#include "vpmu/silicon/retire_totals.hpp"
#include "vpmu/virt/x86/lbr.hpp"
#include "vpmu/virt/x86/pmu_request.hpp"

namespace vpmu::virt::x86 {
namespace {

using hostperf::HostCpu;
using hostperf::VcpuIndex;
using silicon::x86::BranchType;
using silicon::x86::LbrModel;
namespace msr = silicon::x86::msr;

constexpr HostCpu kCpu{0};
constexpr std::uint64_t kGuest = 0x40'0000, kSecret = 0x5ec'0000'0000;
constexpr MsrIndex nth(MsrIndex first, unsigned i) {
  return static_cast<MsrIndex>(raw(first) + i);
}

class Nobody final : public hostperf::OverflowHandler {
 public:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}
};

class SharedHostCpu : public testing::TestWithParam<const char*> {
 protected:
  static constexpr unsigned kVcpus = 2;

  SharedHostCpu() {
    const PmuConfig config = restrict_pmu(model, {.lbr = true}).value();
    for (unsigned n = 0; n < kVcpus; ++n) {
      guests.at(n).pmu = std::make_unique<Pmu>(config, perf, VcpuIndex{n}, guests.at(n).sink);
      guests.at(n).lbr = std::make_unique<Lbr>(*guests.at(n).pmu, perf, VcpuIndex{n});
    }
    turn(0);
  }

  /// The other vCPU leaves the host CPU.
  void turn(unsigned vcpu) {
    on = vcpu;
    perf.switch_in(VcpuIndex{vcpu}, kCpu);
    pmu().scheduled_in();
    lbr().scheduled_in();
    enter();
  }
  void enter() {
    pmu().before_entry();
    lbr().before_entry();
  }
  Pmu& pmu() { return *guests.at(on).pmu; }
  Lbr& lbr() { return *guests.at(on).lbr; }
  silicon::x86::LbrStack& unit() { return *perf.lbr_unit(kCpu); }

  std::uint64_t rdmsr(MsrIndex index) {
    const std::uint64_t value = lbr().msr_bitmap().intercepts_read(index)
                                    ? lbr().read_msr(index, Initiator::kGuest).value()
                                    : unit().read(index).value();
    enter();
    return value;
  }
  void wrmsr(MsrIndex index, std::uint64_t value) {
    if (lbr().msr_bitmap().intercepts_write(index)) {
      EXPECT_TRUE(lbr().write_msr(index, value, Initiator::kGuest).is_done());
    } else {
      EXPECT_TRUE(unit().write(index, value));
    }
    enter();
  }
  void record(bool on_or_off) {
    if (model.lbr.architectural()) {
      wrmsr(msr::IA32_LBR_CTL, on_or_off ? 0x7f'0007 : 0);
    } else {
      EXPECT_TRUE(
          pmu().write_msr(msr::IA32_DEBUGCTL, on_or_off ? 1 : 0, Initiator::kGuest).is_done());
      enter();
    }
  }
  void branch(std::uint64_t from) {
    if (!lbr().recording() && !perf.records_for_host(kCpu)) return;
    unit().record(
        {.from = from, .to = from + 8, .next = from + 2, .type = BranchType::kDirectJump});
  }
  /// What the guest sees of its record that is `age` old.
  std::uint64_t from_of(unsigned age) {
    if (model.lbr.architectural()) return rdmsr(nth(model.lbr.from, age));
    const std::uint64_t tos = rdmsr(msr::MSR_LASTBRANCH_TOS);
    return rdmsr(nth(model.lbr.from, static_cast<unsigned>(tos - age) & (model.lbr.depth - 1u)));
  }
  /// All that a guest, or who moves it, can read.
  bool sees_a_secret() {
    for (const MsrIndex first : {model.lbr.from, model.lbr.to, model.lbr.info}) {
      if (raw(first) == 0) continue;
      for (unsigned i = 0; i < model.lbr.depth; ++i) {
        const std::uint64_t by_host = lbr().read_msr(nth(first, i), Initiator::kHost).value();
        if (by_host >= kSecret || rdmsr(nth(first, i)) >= kSecret) return true;
      }
    }
    return false;
  }

  /// A profiler of the host, for this CPU. The interrupt that installs it is an exit of the guest.
  void host_takes_the_unit() {
    const hostperf::EventAttr attr{
        .config = 0xc4, .pinned = true, .branch_type = hostperf::kBranchAny};
    profiler = perf.open(attr, hostperf::Target::of(kCpu), nobody).value();
    perf.enable(profiler);
    for (unsigned i = 0; i < 40; ++i) {
      unit().record({.from = kSecret + 16 * i,
                     .to = kSecret + 16 * i + 8,
                     .next = kSecret + 16 * i + 2,
                     .type = BranchType::kDirectJump});
    }
    ASSERT_GE(unit().newest(0).from, kSecret);
    enter();
  }
  void host_gives_it_back() { perf.close(profiler); }

  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model(GetParam());
  std::array<silicon::RetireTotals, kVcpus> totals;
  std::array<silicon::Deadlines, kVcpus> deadlines{silicon::Deadlines{totals[0]},
                                                   silicon::Deadlines{totals[1]}};
  Nobody nobody;
  hostperf::ModelledHostPerf perf{model,
                                  std::array{hostperf::ModelledVcpu{&totals[0], &deadlines[0]},
                                             hostperf::ModelledVcpu{&totals[1], &deadlines[1]}},
                                  {.cpus = 1}};
  struct Guest {
    FakePmiSink sink;
    std::unique_ptr<Pmu> pmu;
    std::unique_ptr<Lbr> lbr;
  };
  std::array<Guest, kVcpus> guests;
  unsigned on = 0;
  hostperf::EventId profiler = hostperf::kNoEvent;
};

TEST_P(SharedHostCpu, NoGuestEverReadsWhatTheHostRecorded) {
  const std::function<void()> course[] = {
      [&] { host_takes_the_unit(); },
      [&] { (void)from_of(0); },  // creates the event, without the unit
      [&] { record(true); },
      [&] { turn(0); },
      [&] { host_gives_it_back(); },
      [&] { enter(); },
      [&] { turn(0); },
      [&] { branch(kGuest); },
      [&] { host_takes_the_unit(); },
      [&] { branch(kSecret + 0x1000); },  // the host's profiler is given the guest's branch
      [&] { turn(1); },
      [&] { record(true); },
      [&] { host_gives_it_back(); },
      [&] { turn(0); },
      [&] { record(false); },
      [&] { turn(1); },
      [&] { host_takes_the_unit(); },
      [&] { turn(0), turn(0), turn(0), turn(0); },  // released meanwhile
      [&] { host_gives_it_back(); },
      [&] { turn(0); },
      [&] { lbr().reset(), pmu().reset(), enter(); },
      [&] { (void)from_of(0); },
  };
  int n = 0;
  for (const auto& step : course) {
    SCOPED_TRACE(n++);
    step();
    EXPECT_FALSE(sees_a_secret());
  }
}

TEST_P(SharedHostCpu, GuestsThatTakeTurnsHaveHistoriesAndFiltersOfTheirOwn) {
  constexpr unsigned kBranches = 5;
  const bool architectural = model.lbr.architectural();
  const MsrIndex filter = architectural ? msr::IA32_LBR_CTL : msr::MSR_LBR_SELECT;
  // Neither keeps direct jumps away.
  const std::uint64_t filters[] = {architectural ? 0x7f'0007u : 0x104u,
                                   architectural ? 0x02'0007u : 0x0u};
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    turn(vcpu);
    record(true);
    wrmsr(filter, filters[vcpu]);
  }
  for (unsigned i = 0; i < kBranches; ++i) {
    for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
      turn(vcpu);
      ASSERT_TRUE(lbr().recording());
      branch(kGuest * (vcpu + 1) + 16 * i);
    }
  }
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    turn(vcpu);
    for (unsigned age = 0; age < kBranches; ++age) {
      EXPECT_EQ(from_of(age), kGuest * (vcpu + 1) + 16 * (kBranches - 1 - age));
    }
    EXPECT_EQ(from_of(kBranches), 0u);
    EXPECT_EQ(rdmsr(filter), filters[vcpu]);
    EXPECT_EQ(lbr().statistics().dummy_accesses, 0u);
  }
}

TEST_P(SharedHostCpu, ATraceKeepsTheEventFromBeingCreatedForAsLongAsItRuns) {
  perf.use_lbr_for_trace(kCpu, true);
  wrmsr(model.lbr.from, kGuest);
  EXPECT_EQ(rdmsr(model.lbr.from), 0u);
  EXPECT_EQ(lbr().event(), hostperf::kNoEvent);
  EXPECT_EQ(lbr().statistics().creation_failures, 1u);
  perf.use_lbr_for_trace(kCpu, false);
  turn(0);
  wrmsr(model.lbr.from, kGuest);
  EXPECT_EQ(rdmsr(model.lbr.from), kGuest);
}

TEST_P(SharedHostCpu, AGuestMovesToAnotherHostWithItsHistory) {
  record(true);
  for (unsigned i = 0; i < 3; ++i) branch(kGuest + 16 * i);
  const PmuState pmu_state = pmu().save();
  const VirtualLbrState state = lbr().save();
  turn(1);
  ASSERT_TRUE(pmu().restore(pmu_state).has_value());
  ASSERT_TRUE(lbr().restore(state).has_value());
  enter();
  EXPECT_TRUE(lbr().recording());
  for (unsigned age = 0; age < 3; ++age) EXPECT_EQ(from_of(age), kGuest + 16 * (2 - age));
}

INSTANTIATE_TEST_SUITE_P(Models, SharedHostCpu,
                         testing::Values("haswell-server", "skylake-server", "icelake-server",
                                         "sapphire-rapids"),
                         [](const auto& name) {
                           std::string text = name.param;
                           for (char& each : text) each = each == '-' ? '_' : each;
                           return text;
                         });

}  // namespace
}  // namespace vpmu::virt::x86
