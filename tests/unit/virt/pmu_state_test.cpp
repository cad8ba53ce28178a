// SPDX-License-Identifier: MIT
//
// A PMU that moves: what it was is what it is, once.
#include <array>
#include <functional>
#include <string>

#include "unit/virt/pmu_fixture.hpp"
#include "vpmu/hostperf/modelled_host_perf.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn48 = bit(48);

class PmuStateTest : public PmuFixture {
 protected:
  /// The guest goes on at another host, on a fresh PMU of the same configuration.
  void move() {
    const PmuState state = pmu->save();
    make(state.config);
    const auto restored = pmu->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
  }
  std::uint64_t status_msr() { return read(msr::IA32_PERF_GLOBAL_STATUS).value(); }
};

TEST_F(PmuStateTest, EveryRegisterArrives) {
  PmuConfig config = intel_config(4);
  config.freeze_on_pmi = true;
  make(config);
  for (unsigned i = 0; i < 8; ++i) {
    write(event_select(i), 0x1000 + i);
    write(full_pmc(i), kTurn48 / 2 + i);
  }
  for (unsigned k = 0; k < 3; ++k) write(fixed(k), kTurn48 / 3 + k);
  write(msr::IA32_FIXED_CTR_CTRL, 0x8b8);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0x5a | bit(33));
  write(msr::IA32_PERF_GLOBAL_STATUS_SET, 0xa5 | bit(34) | bit(61));
  write(msr::IA32_DEBUGCTL, bit(12));
  write(msr::IA32_MISC_ENABLE, read(msr::IA32_MISC_ENABLE).value() ^ 1);
  const PmuState before = pmu->save();

  move();

  EXPECT_EQ(pmu->save(), before);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(read(event_select(i)), Access::done(0x1000 + i));
    EXPECT_EQ(read(pmc(i)), Access::done(kTurn48 / 2 + i));
  }
  EXPECT_EQ(read(fixed(2)), Access::done(kTurn48 / 3 + 2));
  EXPECT_EQ(read(msr::IA32_FIXED_CTR_CTRL), Access::done(0x8b8));
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_CTRL), Access::done(0x5a | bit(33)));
  EXPECT_EQ(status_msr(), 0xa5 | bit(34) | bit(61));
  EXPECT_EQ(read(msr::IA32_DEBUGCTL), Access::done(bit(12)));
  EXPECT_EQ(read(msr::IA32_MISC_ENABLE).value() & 1, 0u);
}

TEST_F(PmuStateTest, RunningCounterGoesOnWhereItWas) {
  write(full_pmc(0), kTurn48 - 100);
  write(event_select(0), kInstructions | kInt);
  perf.count(30);
  move();
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  EXPECT_EQ(read(pmc(0)), Access::done(kTurn48 - 70));
  EXPECT_EQ(perf.of(0)->attr.period, 70u);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
  perf.count(70);
  pmu->before_entry();
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(sink.raised, 1);
}

TEST_F(PmuStateTest, AmdCounterInAModeGoesOnToo) {
  PmuConfig config = kAmdV2;
  config.host_guest_only = true;
  make(config);
  pmu->set_svm(true, true);
  write(core_select(0), 0xc0 | kEn | kOs | bit(40));
  perf.count(3);
  move();
  pmu->before_entry();
  perf.count(4);
  EXPECT_EQ(read(core_counter(0)), Access::done(7));
}

TEST_F(PmuStateTest, PendingPmiIsDeliveredExactlyOnce) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  perf.count(1);
  ASSERT_EQ(sink.raised, 0);
  move();
  pmu->before_entry();
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(PmuStateTest, DeliveredPmiIsNotDeliveredAgain) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  perf.count(1);
  pmu->before_entry();
  move();
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
}

TEST_F(PmuStateTest, OverflowThatTheHostHasCountedAndNotYetReportedHappensExactlyOnce) {
  write(full_pmc(0), kTurn48 - 5);
  write(event_select(0), kInstructions | kInt);
  perf.of(0)->count += 7;  // and its signal is on its way
  const PmuState state = pmu->save();
  EXPECT_EQ(state.gp[0].value, 2u);
  EXPECT_EQ(state.global_status, 1u);
  EXPECT_TRUE(state.pmi_pending);
  // Who was only looked at goes on too, and then gets the signal.
  pmu->on_overflow(static_cast<hostperf::EventId>(0), 0);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(pmu->statistics().overflows, 1u);
}

TEST_F(PmuStateTest, SavingChangesNothingThatAGuestCouldSee) {
  write(event_select(0), kInstructions);
  perf.count(10);
  const PmuState first = pmu->save();
  EXPECT_EQ(pmu->save(), first);
  perf.count(10);
  EXPECT_EQ(read(pmc(0)), Access::done(20));
}

TEST_F(PmuStateTest, InUseMarksArrive) {
  write(event_select(0), kInstructions);
  write(event_select(0), 0);
  move();
  pmu->scheduled_in();
  const PmuState state = pmu->save();
  EXPECT_TRUE(state.gp[0].touched);
  EXPECT_FALSE(state.gp[1].touched);
}

// ---- What does not fit --------------------------------------------------------------------------

TEST_F(PmuStateTest, AnotherConfigurationIsRefusedByName) {
  struct Case {
    const char* says;
    std::function<void(PmuConfig&)> change;
  };
  const Case cases[] = {
      {"version 1, this PMU has 2", [](PmuConfig& c) { c.version = 1; }},
      {"general-purpose counters: 3", [](PmuConfig& c) { c.gp_counters = 3; }},
      {"counter width 40", [](PmuConfig& c) { c.gp_width = 40; }},
      {"fixed counters: 2", [](PmuConfig& c) { c.fixed_counters = 2; }},
      {"fixed counter width 48", [](PmuConfig& c) { c.fixed_width = 48; }},
      {"event vector", [](PmuConfig& c) { c.arch_event_length = 7; }},
      {"unavailable events", [](PmuConfig& c) { c.arch_events_unavailable = 0; }},
      {"capabilities", [](PmuConfig& c) { c.perf_capabilities = 0; }},
      {"IA32_PERF_CAPABILITIES", [](PmuConfig& c) { c.has_perf_capabilities = false; }},
      {"core extension", [](PmuConfig& c) { c.core_extension = true; }},
      {"AnyThread", [](PmuConfig& c) { c.any_thread_deprecated = false; }},
      {"freeze", [](PmuConfig& c) { c.freeze_on_pmi = true; }},
      {"TSX", [](PmuConfig& c) { c.tsx = true; }},
      {"Host-Only", [](PmuConfig& c) { c.host_guest_only = true; }},
      {"AMD", [](PmuConfig& c) { c.vendor = silicon::x86::Vendor::kAmd; }},
  };
  for (const Case& each : cases) {
    PmuState state = pmu->save();
    each.change(state.config);
    const auto restored = pmu->restore(state);
    ASSERT_FALSE(restored.has_value()) << each.says;
    EXPECT_NE(restored.error().message.find(each.says), std::string::npos)
        << restored.error().message;
  }
}

TEST_F(PmuStateTest, ValuesThatNoGuestCouldHaveWrittenAreRefusedAndChangeNothing) {
  write(event_select(0), kInstructions);
  const PmuState before = pmu->save();
  const std::function<void(PmuState&)> changes[] = {
      [](PmuState& s) { s.gp[0].value = kTurn48; },
      [](PmuState& s) { s.gp[4].value = 1; },
      [](PmuState& s) { s.fixed[0].value = bit(40); },
      [](PmuState& s) { s.fixed[3].value = 1; },
      [](PmuState& s) { s.event_select[0] |= bit(21); },
      [](PmuState& s) { s.event_select[7] = 1; },
      [](PmuState& s) { s.fixed_control = 0x1000; },
      [](PmuState& s) { s.global_control = 0x10; },
      [](PmuState& s) { s.global_status = bit(61); },
      [](PmuState& s) { s.debug_control = bit(12); },
      [](PmuState& s) { s.gp[0].status = static_cast<CounterStatus>(99); },
  };
  for (const auto& change : changes) {
    PmuState state = before;
    change(state);
    EXPECT_FALSE(pmu->restore(state).has_value());
    EXPECT_EQ(pmu->save(), before);
  }
}

// ---- On the modelled host, where every instruction counts ---------------------------------------

/// A machine of one vCPU whose guest arms a counter and runs; it may move behind any instruction.
struct ModelledGuest {
  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array<hostperf::ModelledVcpu, 1> vcpus{hostperf::ModelledVcpu{&totals, &deadlines}};
  hostperf::ModelledHostPerf perf{model, vcpus};
  FakePmiSink sink;
  Pmu pmu{guest_pmu(model), perf, hostperf::VcpuIndex{0}, sink};

  void step() {
    if (pmu.has_entry_work()) pmu.before_entry();
    totals.add(silicon::RawEvent::kInstructions, silicon::Privilege::kKernel, 1);
    deadlines.fire_due();
  }
};

TEST(PmuStateOnModelledHost, MovingBehindAnyInstructionGivesTheSameOverflowOnTheSameInstruction) {
  constexpr int kPeriod = 7, kSteps = 16;
  for (int moved_behind = 0; moved_behind <= kSteps; ++moved_behind) {
    ModelledGuest here, there;
    for (const auto& [index, value] : {std::pair{msr::IA32_A_PMC0, kTurn48 - kPeriod},
                                       std::pair{msr::IA32_PERFEVTSEL0, std::uint64_t{0x5300c0}}}) {
      ASSERT_EQ(here.pmu.write_msr(index, value, Initiator::kGuest), Access::done());
    }
    ModelledGuest* guest = &here;
    for (int n = 0; n < kSteps; ++n) {
      if (n == moved_behind) {
        ASSERT_TRUE(there.pmu.restore(here.pmu.save()).has_value());
        guest = &there;
      }
      guest->step();
      const bool overflowed = (guest->pmu.save().global_status & 1) != 0;
      EXPECT_EQ(overflowed, n + 1 >= kPeriod) << "moved behind " << moved_behind << ", at " << n;
    }
    if (guest->pmu.has_entry_work()) guest->pmu.before_entry();
    const int total = here.sink.raised + there.sink.raised;
    EXPECT_EQ(total, 1) << "moved behind " << moved_behind;
    EXPECT_EQ(guest->pmu.value(gp_counter(0)), static_cast<std::uint64_t>(kSteps - kPeriod));
    EXPECT_EQ(guest->pmu.read_msr(msr::IA32_PERF_GLOBAL_STATUS, Initiator::kGuest),
              Access::done(1));
  }
}

}  // namespace
}  // namespace vpmu::virt::x86
