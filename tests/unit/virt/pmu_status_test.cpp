// SPDX-License-Identifier: MIT
//
// Who learns that a counter does not count, what is lost when the host takes a counter away, and
// that no access allocates.
#include <array>
#include <vector>

#include "bench/support/allocations.hpp"
#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using hostperf::OpenError;

constexpr std::uint64_t kTurn48 = std::uint64_t{1} << 48;

struct Change {
  CounterIndex counter;
  CounterStatus status;
  std::uint64_t config;
  friend bool operator==(const Change&, const Change&) = default;
};

class NotingObserver final : public CounterObserver {
 public:
  void counter_changed(CounterIndex counter, CounterStatus status, std::uint64_t config) override {
    changes.push_back({counter, status, config});
  }
  std::vector<Change> changes;
};

class PmuStatus : public PmuFixture {
 protected:
  PmuStatus() { pmu->set_observer(&observer); }
  std::vector<Change> take() { return std::exchange(observer.changes, {}); }

  NotingObserver observer;
};

TEST_F(PmuStatus, EveryChangeIsTold) {
  using Changes = std::vector<Change>;
  write(event_select(0), kInstructions);
  EXPECT_EQ(take(), (Changes{{gp_counter(0), CounterStatus::kCounting, 0xc0}}));
  write(event_select(0), kInstructions | kInt);
  write(full_pmc(0), 5);
  EXPECT_EQ(take(), Changes{}) << "nothing changed";
  write(event_select(0), kBranches);
  EXPECT_EQ(take(), (Changes{{gp_counter(0), CounterStatus::kCounting, 0xc4}})) << "another event";
  perf.refuse_open = OpenError::kNoSuchEvent;
  write(event_select(0), 0x01ff | kEn | kOs);
  EXPECT_EQ(take(), (Changes{{gp_counter(0), CounterStatus::kUnsupportedEvent, 0x01ff}}));
  perf.refuse_open = OpenError::kNoSpace;
  write(event_select(0), kInstructions);
  EXPECT_EQ(take(), (Changes{{gp_counter(0), CounterStatus::kStarved, 0xc0}}));
  perf.refuse_open.reset();
  write(event_select(0), 0);
  EXPECT_EQ(take(), (Changes{{gp_counter(0), CounterStatus::kOff, 0xc0}}))
      << "off, with the event that it was to count";
  write(event_select(0), 0x3c);
  EXPECT_EQ(take(), Changes{}) << "off as before";
}

TEST_F(PmuStatus, DenialAndResetAreTold) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  write(event_select(0), kInstructions);
  pmu->set_event_gate(&gate);
  pmu->before_entry();
  pmu->reset();
  EXPECT_EQ(take(), (std::vector<Change>{{gp_counter(0), CounterStatus::kCounting, 0xc0},
                                         {gp_counter(0), CounterStatus::kDenied, 0xc0},
                                         {gp_counter(0), CounterStatus::kOff, 0xc0}}));
  pmu->set_event_gate(nullptr);
}

TEST_F(PmuStatus, LostEventIsNoticedInTheNextTimeSliceAndTriedAgain) {
  write(event_select(0), kInstructions);
  take();
  perf.take_away(0);
  perf.no_room = true;
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(take(), (std::vector<Change>{{gp_counter(0), CounterStatus::kStarved, 0xc0}}));
  EXPECT_FALSE(pmu->has_entry_work()) << "it does not spin";
  perf.no_room = false;
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(take(), (std::vector<Change>{{gp_counter(0), CounterStatus::kCounting, 0xc0}}));
}

TEST_F(PmuStatus, LostEventIsNoticedWhenOthersAreProgrammed) {
  write(event_select(0), kInstructions);
  perf.take_away(0);
  take();
  write(event_select(1), kBranches);
  EXPECT_EQ(take(), (std::vector<Change>{{gp_counter(1), CounterStatus::kCounting, 0xc4},
                                         {gp_counter(0), CounterStatus::kStarved, 0xc0}}));
}

TEST_F(PmuStatus, InactivePinnedEventOnlyWaitsForItsVcpu) {
  write(event_select(0), kInstructions);
  perf.of(0)->state = hostperf::EventState::kInactive;
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(PmuStatus, WhatWasCountedBeforeAnEventWasLostIsKept) {
  for (const bool knows : {false, true}) {
    make(kVersion2);
    perf.knows_lost_counts = knows;
    write(event_select(0), kInstructions);
    perf.count(100);
    perf.take_away(0);
    pmu->scheduled_in();
    EXPECT_EQ(read(pmc(0)), Access::done(100));
    pmu->before_entry();
    perf.count(10);
    EXPECT_EQ(read(pmc(0)), Access::done(110)) << "it goes on from there";
  }
}

TEST_F(PmuStatus, WhatAGuestHasReadIsNeverTakenBack) {
  write(event_select(0), kInstructions);
  perf.count(100);
  EXPECT_EQ(pmu->rdpmc(0, true), Access::done(100));
  perf.take_away(0);
  EXPECT_EQ(pmu->rdpmc(0, true), Access::done(100));
  EXPECT_EQ(pmu->value(gp_counter(0)), 100u);
}

TEST_F(PmuStatus, RecoveredEventOverflowsWhereItWouldHave) {
  write(full_pmc(0), kTurn48 - 100);
  write(event_select(0), kInstructions);
  perf.count(60);
  perf.take_away(0);
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(perf.of(0)->attr.period, 40u);
}

TEST_F(PmuStatus, HostCounterThatIsGivenBackGoesToTheCounterThatWaitsForIt) {
  perf.room = 1;
  write(event_select(1), kBranches);
  write(event_select(0), kInstructions);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kStarved);
  write(event_select(1), 0);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting)
      << "in the same entry, although it comes first by number";
}

// ---- Nothing allocates --------------------------------------------------------------------------

class PmuAllocations : public testing::Test {
 protected:
  PmuAllocations() {
    for (unsigned i = 0; i < 8; ++i) {
      write(static_cast<std::uint32_t>(0x186 + i), i % 2 == 0 ? 0x5300c0 : 0x53003c);
    }
    write(0x38f, 0xff | 0x7ULL << 32);
  }
  void write(std::uint32_t index, std::uint64_t value) {
    if (pmu.write_msr(MsrIndex{index}, value, Initiator::kGuest).is_done()) pmu.before_entry();
  }

  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf{model, vcpus};
  FakePmiSink sink;
  Pmu pmu{guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};
};

TEST_F(PmuAllocations, NoAccessAllocates) {
  FakeEventGate gate;
  gate.denied = {{0x3c, 0x00}};
  const std::uint64_t before = bench::allocations();
  const auto touch = [&](std::uint32_t index) {
    (void)pmu.read_msr(MsrIndex{index}, Initiator::kGuest);
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{0x5300c0}, ~std::uint64_t{0}}) {
      write(index, value);
    }
  };
  for (std::uint32_t index = 0xc0; index < 0x610; ++index) touch(index);
  for (std::uint32_t index = 0xc0000300; index < 0xc0000304; ++index) touch(index);
  for (std::uint32_t index = 0xc0010000; index < 0xc0010210; ++index) touch(index);
  for (std::uint32_t ecx = 0; ecx < 16; ++ecx) {
    (void)pmu.rdpmc(ecx, true);
    (void)pmu.rdpmc(0x4000'0000 | ecx, true);
  }
  pmu.instruction_emulated(EmulatedInstruction::kBranch, silicon::Privilege::kKernel);
  pmu.set_event_gate(&gate);
  pmu.before_entry();
  pmu.scheduled_in();
  pmu.before_entry();
  const PmuState state = pmu.save();
  EXPECT_TRUE(pmu.restore(state).has_value());
  pmu.before_entry();
  pmu.reset();
  EXPECT_EQ(bench::allocations() - before, 0u);
}

TEST_F(PmuAllocations, NoOverflowAllocates) {
  write(0x4c1, kTurn48 - 5);
  const std::uint64_t before = bench::allocations();
  totals.add(silicon::RawEvent::kInstructions, silicon::Privilege::kKernel, 5);
  deadlines.fire_due();
  pmu.before_entry();
  EXPECT_EQ(bench::allocations() - before, 0u);
  EXPECT_EQ(sink.raised, 1);
}

}  // namespace
}  // namespace vpmu::virt::x86
