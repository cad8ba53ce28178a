// SPDX-License-Identifier: MIT
//
// PV perf and its host: which host events there are and how often they are touched, what becomes of
// events that the host cannot count or the operator does not admit, times, and that nothing
// allocates.
#include <vector>

#include "bench/support/allocations.hpp"
#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using hostperf::EventState;
using hostperf::OpenError;
using pv::BankMsr;
using pv::Code;
using pv::Msr;

constexpr std::uint64_t kSecond = 1'000'000'000;

constexpr pv::Evtsel off(pv::Evtsel evtsel) {
  evtsel.set(pv::Evtsel::kEn, 0);
  return evtsel;
}

class PvPerfHostEvents : public PvPerfOnFakePerf {
 protected:
  void run(unsigned i, pv::Evtsel evtsel) {
    select(i, evtsel);
    write(Msr::kGlobalCtrl, read(Msr::kGlobalCtrl) | std::uint64_t{1} << i);
  }
  void forget_troubles() {
    write(Msr::kError, 0);
    write(Msr::kStatusReset, pv::kStatusHostTrouble);
  }
  [[nodiscard]] int period_changes() const {
    int changes = 0;
    for (const auto& event : perf.events) changes += event.period_changes;
    return changes;
  }
  /// All that changes something at the host.
  [[nodiscard]] std::size_t operations() const {
    return perf.events.size() + static_cast<std::size_t>(perf.enables + period_changes());
  }
};

// ---- Which there are ----------------------------------------------------------------------------

TEST_F(PvPerfHostEvents, AreOpenedWhenAnEventFirstRuns) {
  select(0, kInstructions);
  set_count(0, 5);
  EXPECT_EQ(perf.events.size(), 0u);
  select(0, off(kInstructions));
  write(Msr::kGlobalCtrl, 1);
  EXPECT_EQ(perf.events.size(), 0u);
  select(0, kInstructions);
  EXPECT_EQ(perf.events.size(), 1u);
  EXPECT_EQ(pv->open_host_events(), 1u);
}

TEST_F(PvPerfHostEvents, ArePinnedToTheVcpuAndLeaveTheHostOut) {
  pv::Evtsel user = kInstructions;
  user.set(pv::Evtsel::kOs, 0);
  set_count(2, kTurn - 1234);
  run(2, user);
  ASSERT_EQ(perf.events.size(), 1u);
  EXPECT_EQ(perf.events[0].attr, (hostperf::EventAttr{.config = 0xc0,
                                                      .period = 1234,
                                                      .pinned = true,
                                                      .exclude_kernel = true,
                                                      .exclude_host = true,
                                                      .exclude_idle = true,
                                                      .cookie = 2}));
  EXPECT_EQ(perf.events[0].target.index, 0u);
  EXPECT_EQ(perf.events[0].target.kind, hostperf::Target::Kind::kVcpu);
}

TEST_F(PvPerfHostEvents, AreGoneWithTheirOwner) {
  for (unsigned i = 0; i < 4; ++i) run(i, kInstructions);
  pv.reset();
  EXPECT_EQ(perf.open_events(), 0u);
}

TEST_F(PvPerfHostEvents, AreClosedWhenTheirEventHasBeenOffForASecond) {
  run(0, kInstructions);
  run(1, kInstructions);
  count_more(7);
  write(Msr::kGlobalCtrl, 2);
  EXPECT_EQ(pv->due_ns(false), host.now + kSecond);
  EXPECT_EQ(pv->due_ns(true), PvPerf::kNever);
  pass(kSecond / 2);
  select(1, off(kInstructions));
  pass(kSecond / 2 - 1);
  EXPECT_EQ(pv->open_host_events(), 2u);
  pass(1);
  EXPECT_EQ(pv->open_host_events(), 1u);
  pass(kSecond / 2 - 1);
  EXPECT_EQ(pv->open_host_events(), 1u);
  pass(1);
  EXPECT_EQ(pv->open_host_events(), 0u);
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_EQ(pv->due_ns(false), PvPerf::kNever);
  EXPECT_EQ(count(0), 7u);
  write(Msr::kGlobalCtrl, 1);
  count_more(3);
  EXPECT_EQ(count(0), 10u);
}

TEST_F(PvPerfHostEvents, ThatAreUsedNowAndThenStayOpen) {
  run(0, kInstructions);
  for (int n = 0; n < 10; ++n) {
    write(Msr::kGlobalCtrl, 0);
    pass(kSecond - 1);
    write(Msr::kGlobalCtrl, 1);
    pass(kSecond);
  }
  EXPECT_EQ(perf.events.size(), 1u);
}

// ---- How often they are touched -----------------------------------------------------------------

TEST_F(PvPerfHostEvents, FollowHoweverManyRewritesOnceAnEntry) {
  write(Msr::kGlobalCtrl, 0xff);
  for (int n = 0; n < 1000; ++n) {
    for (unsigned i = 0; i < 8; ++i) {
      const pv::Evtsel evtsel = n % 2 == 0 ? kCycles : kInstructions;
      ASSERT_TRUE(pv->write_msr(msr(i, BankMsr::kEvtsel), evtsel.raw, Initiator::kGuest).is_done());
      ASSERT_TRUE(pv->write_msr(msr(i, BankMsr::kCount), 1000, Initiator::kGuest).is_done());
    }
  }
  EXPECT_EQ(perf.events.size(), 0u);
  pv->before_entry();
  EXPECT_EQ(perf.events.size(), 8u);
  EXPECT_EQ(perf.enables, 8);
  EXPECT_EQ(period_changes(), 0);
  for (const auto& event : perf.events) EXPECT_EQ(event.attr.config, 0xc0u);
}

TEST_F(PvPerfHostEvents, AreOpenedOnceAnEntryInAStormOfRewrites) {
  write(Msr::kGlobalCtrl, 1);
  for (std::size_t n = 1; n <= 100; ++n) {
    select(0, n % 2 == 0 ? kCycles : kInstructions);
    ASSERT_EQ(perf.events.size(), n);
    ASSERT_EQ(perf.enables, static_cast<int>(n));
    ASSERT_EQ(perf.open_events(), 1u);
  }
  EXPECT_EQ(period_changes(), 0);
}

TEST_F(PvPerfHostEvents, AreLeftAloneByWhatDoesNotChangeThem) {
  run(0, kInstructions);
  set_count(0, 100);
  const std::size_t before = operations();
  select(0, kInstructions);
  set_count(0, 100);
  select(0, interrupting(kInstructions));
  write(0, BankMsr::kPeriod, 1'000'000);
  write(0, BankMsr::kTimeEn, 5);
  write(Msr::kGlobalCtrl, 3);
  write(Msr::kStatusSet, 1);
  write(Msr::kStatusReset, 1);
  for (int n = 0; n < 3; ++n) count(0);
  EXPECT_EQ(operations(), before);
}

TEST_F(PvPerfHostEvents, GoOnWithAnotherPeriodWhenTheCountIsWritten) {
  run(0, kInstructions);
  count_more(10);
  set_count(0, kTurn - 50);
  EXPECT_EQ(perf.enables, 1);
  EXPECT_EQ(period_changes(), 1);
  EXPECT_EQ(perf.of(0)->attr.period, 50u);
  count_more(10);
  EXPECT_EQ(count(0), kTurn - 40);
}

/// The RDMSR that found the wrap is itself counted before the entry.
TEST_F(PvPerfHostEvents, ThatWrappedUnreportedAreArmedFromWhereTheyAreAtTheEntry) {
  run(0, kInstructions);
  set_count(0, kTurn - 10);
  perf.of(0)->count += 12;
  EXPECT_EQ(count(0), 2u);
  perf.of(0)->count += 1;
  pv->before_entry();
  EXPECT_EQ(perf.of(0)->attr.period, kTurn - 3);
}

// ---- Starvation ---------------------------------------------------------------------------------

TEST_F(PvPerfHostEvents, WithoutRoomSayThatTheyAreBusy) {
  perf.room = 1;
  run(0, kInstructions);
  run(1, interrupting(kInstructions));
  EXPECT_EQ(state(0).raw, pv::State::kRunning.kMask);
  EXPECT_EQ(state(1).get(pv::State::kRunning), 0u);
  EXPECT_EQ(state(1).get(pv::State::kNotStarted), 1u);
  EXPECT_EQ(state(1).get(pv::State::kRefused), 0u);
  EXPECT_EQ(state_code(1), Code::kBusy);
  EXPECT_EQ(error(), error_of(Code::kBusy, 1));
  EXPECT_EQ(status(), pv::kStatusHostTrouble);
  EXPECT_EQ(host.raised, 0);
  EXPECT_EQ(pv->status(1), CounterStatus::kStarved);
  EXPECT_EQ(pv->statistics().starvations, 1u);
}

TEST_F(PvPerfHostEvents, WithoutRoomAreTriedEveryMillisecond) {
  perf.room = 1;
  run(0, kInstructions);
  run(1, kInstructions);
  forget_troubles();
  const int tried = perf.enables;
  pass(kMs - 1);
  EXPECT_EQ(perf.enables, tried);
  pass(1);
  EXPECT_EQ(perf.enables, tried + 1);
  pass(10 * kMs);
  EXPECT_EQ(perf.enables, tried + 11);
  EXPECT_EQ(status(), 0u) << "it only is what it was";
  EXPECT_EQ(error().raw, 0u);
  perf.room = 2;
  pass(kMs);
  EXPECT_EQ(state(1).raw, pv::State::kRunning.kMask);
  EXPECT_EQ(pv->due_ns(false), PvPerf::kNever);
  count_more(4);
  EXPECT_EQ(count(1), 4u);
  EXPECT_EQ(time_enabled(1), 12 * kMs);
  EXPECT_EQ(time_running(1), 0u);
  pass(5 * kMs);
  EXPECT_EQ(time_enabled(1), 17 * kMs);
  EXPECT_EQ(time_running(1), 5 * kMs);
  EXPECT_EQ(time_running(0), 17 * kMs);
}

TEST_F(PvPerfHostEvents, GetWhatOthersGiveBackInTheSameEntry) {
  perf.room = 1;
  run(1, kInstructions);
  run(0, kInstructions);
  ASSERT_EQ(state_code(0), Code::kBusy);
  write(Msr::kGlobalCtrl, 1);
  EXPECT_EQ(state(0).raw, pv::State::kRunning.kMask);
}

TEST_F(PvPerfHostEvents, KeepTheirCounterWhenAnotherIsEnabledBeforeThemByNumber) {
  perf.room = 1;
  run(1, kInstructions);
  run(0, kInstructions);
  select(1, interrupting(kInstructions));
  EXPECT_EQ(state(1).raw, pv::State::kRunning.kMask);
  EXPECT_EQ(state_code(0), Code::kBusy);
}

TEST_F(PvPerfHostEvents, ThatAreOffAreNotBusy) {
  perf.room = 0;
  run(0, kInstructions);
  ASSERT_EQ(state_code(0), Code::kBusy);
  select(0, off(kInstructions));
  EXPECT_EQ(state(0).raw, 0u);
  const int tried = perf.enables;
  pass(5 * kMs);
  EXPECT_EQ(perf.enables, tried);
  pass(kSecond);
  EXPECT_EQ(pv->open_host_events(), 0u);
}

TEST_F(PvPerfHostEvents, ThatTheHostTakesAwayKeepTheirCount) {
  for (const bool knows_lost_counts : {false, true}) {
    perf.knows_lost_counts = knows_lost_counts;
    make(full_pv_perf());
    run(0, kInstructions);
    count_more(20);
    EXPECT_EQ(count(0), 20u);
    pass(kMs);
    EXPECT_EQ(time_running(0), kMs);
    perf.no_room = true;
    perf.take_away(0);
    EXPECT_EQ(status(), pv::kStatusHostTrouble);
    EXPECT_EQ(error(), error_of(Code::kBusy, 0));
    EXPECT_EQ(state_code(0), Code::kBusy);
    EXPECT_EQ(count(0), 20u);
    pass(3 * kMs);
    EXPECT_EQ(time_enabled(0), 4 * kMs);
    EXPECT_EQ(time_running(0), kMs);
    perf.no_room = false;
    pass(kMs);
    count_more(5);
    EXPECT_EQ(count(0), 25u);
    EXPECT_EQ(state(0).raw, pv::State::kRunning.kMask);
    perf.take_away(0);
    EXPECT_EQ(pv->status(0), CounterStatus::kStarved) << "to reports at once";
    EXPECT_EQ(pv->state(0).get(pv::State::kCode), static_cast<std::uint64_t>(Code::kBusy));
  }
}

TEST_F(PvPerfHostEvents, ThatTheHostTookAwayRanUntilThen) {
  for (const bool knows_lost_counts : {false, true}) {
    perf.knows_lost_counts = knows_lost_counts;
    perf.no_room = false;
    make(full_pv_perf());
    run(0, kInstructions);
    pass(3 * kMs);
    count(0);
    count_more(20);
    perf.of(0)->time_running_ns = 5 * kMs;  // though nobody looks
    perf.no_room = true;
    perf.take_away(0);
    pass(6 * kMs);
    EXPECT_EQ(count(0), 20u) << "what it counted until then";
    EXPECT_EQ(time_enabled(0), 9 * kMs);
    EXPECT_EQ(time_running(0), 8 * kMs) << "as long as the host says, since it was looked at";
    pass(kMs);
    EXPECT_EQ(time_running(0), 8 * kMs);
  }
}

TEST_F(PvPerfHostEvents, ThatTheHostTookAwayAreMissedWhenTheVcpuGoesOn) {
  run(0, kInstructions);
  pv->scheduled_out();
  perf.no_room = true;
  perf.take_away(0);
  pv->scheduled_in();
  EXPECT_EQ(pv->global_status(), pv::kStatusHostTrouble);
  EXPECT_EQ(pv->due_ns(false), host.now + kMs);
  perf.no_room = false;
  pass(kMs);
  ASSERT_EQ(pv->status(0), CounterStatus::kCounting);
  perf.take_away(0);
  pv->scheduled_in();
  EXPECT_EQ(pv->due_ns(false), host.now + kMs) << "a time slice further where it was";
}

TEST_F(PvPerfHostEvents, ThatCannotBeOpenedSayWhy) {
  const struct {
    OpenError error;
    Code code;
    CounterStatus status;
  } rows[] = {
      {OpenError::kNoSpace, Code::kBusy, CounterStatus::kStarved},
      {OpenError::kBusy, Code::kBusy, CounterStatus::kStarved},
      {OpenError::kNoSuchEvent, Code::kCode, CounterStatus::kUnsupportedEvent},
      {OpenError::kNoSuchTarget, Code::kHost, CounterStatus::kStarved},
      {OpenError::kNotSupported, Code::kHost, CounterStatus::kStarved},
  };
  for (const auto& row : rows) {
    perf.refuse_open = row.error;
    make(full_pv_perf());
    run(3, kInstructions);
    EXPECT_EQ(state(3).get(pv::State::kNotStarted), 1u);
    EXPECT_EQ(state_code(3), row.code);
    EXPECT_EQ(error(), error_of(row.code, 3));
    EXPECT_EQ(status(), pv::kStatusHostTrouble);
    EXPECT_EQ(pv->status(3), row.status);
    EXPECT_EQ(count(3), 0u);
    perf.refuse_open.reset();
    pass(kMs);
    const bool again = row.status == CounterStatus::kStarved;
    EXPECT_EQ(state(3).get(pv::State::kRunning), again ? 1u : 0u);
  }
}

// ---- Absent events ------------------------------------------------------------------------------

class PvPerfAbsentEvents : public PvPerfHostEvents {
 protected:
  PvPerfAbsentEvents() {
    PvPerfConfig config = full_pv_perf();
    config.generic_events &= ~(1u << static_cast<unsigned>(pv::Generic::kStalledBackend));
    make(config);
  }
  static constexpr pv::Evtsel kAbsent = pv_event(pv::Generic::kStalledBackend);
};

TEST_F(PvPerfAbsentEvents, AreAcceptedAndCountNothing) {
  set_count(0, 42);
  run(0, kAbsent);
  count_more(10);
  pass(kMs);
  EXPECT_EQ(read(0, BankMsr::kEvtsel), kAbsent.raw);
  EXPECT_EQ(count(0), 42u);
  EXPECT_EQ(state(0).get(pv::State::kNotStarted), 1u);
  EXPECT_EQ(state_code(0), Code::kCode);
  EXPECT_EQ(time_enabled(0), kMs);
  EXPECT_EQ(time_running(0), 0u);
  EXPECT_EQ(perf.events.size(), 0u);
}

TEST_F(PvPerfAbsentEvents, SayItWhenTheyAreWrittenWithEnable) {
  select(6, off(kAbsent));
  EXPECT_EQ(error().raw, 0u);
  EXPECT_EQ(state(6).raw, 0u);
  for (int n = 0; n < 2; ++n) {
    select(6, kAbsent);  // GLOBAL_CTRL is 0
    EXPECT_EQ(error(), error_of(Code::kCode, 6));
    EXPECT_EQ(status(), pv::kStatusHostTrouble);
    EXPECT_EQ(state_code(6), Code::kCode);
    forget_troubles();
  }
  write(Msr::kGlobalCtrl, 1 << 6);
  write(Msr::kGlobalCtrl, 0);
  EXPECT_EQ(error().raw, 0u);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(state_code(6), Code::kCode) << "as long as it is so";
  select(6, off(kAbsent));
  EXPECT_EQ(state(6).raw, 0u);
}

// ---- The event filter ---------------------------------------------------------------------------

class PvPerfDeniedEvents : public PvPerfHostEvents {
 protected:
  PvPerfDeniedEvents() { gate.denied = {{0xc0, 0x00}}; }
  void close_gate() {
    pv->set_event_gate(&gate);
    EXPECT_TRUE(pv->has_entry_work());
    pv->before_entry();
  }
  FakeEventGate gate;
};

TEST_F(PvPerfDeniedEvents, AreAcceptedAndCountNothing) {
  close_gate();
  set_count(0, 42);
  run(0, kInstructions);
  run(1, kCycles);
  count_more(10);
  pass(kMs);
  EXPECT_EQ(count(0), 42u);
  EXPECT_EQ(state(0).raw, pv::State::kRefused.kMask | static_cast<std::uint64_t>(Code::kFiltered)
                                                          << pv::State::kCode.kLow);
  EXPECT_EQ(error(), error_of(Code::kFiltered, 0));
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(pv->status(0), CounterStatus::kDenied);
  EXPECT_EQ(time_enabled(0), kMs);
  EXPECT_EQ(time_running(0), 0u);
  EXPECT_EQ(count(1), 10u);
}

TEST_F(PvPerfDeniedEvents, GoOnWhenTheFilterLetsThem) {
  run(0, kInstructions);
  count_more(5);
  EXPECT_EQ(count(0), 5u);
  close_gate();
  count_more(5);
  EXPECT_EQ(count(0), 5u);
  EXPECT_EQ(state_code(0), Code::kFiltered);
  gate.denied.clear();
  const int requests = host.requests;
  pv->gate_changed();
  EXPECT_EQ(host.requests, requests + 1);
  pv->before_entry();
  EXPECT_EQ(state(0).raw, pv::State::kRunning.kMask);
  count_more(5);
  EXPECT_EQ(count(0), 10u);
}

TEST_F(PvPerfDeniedEvents, SayItWhenTheyAreWrittenAndWhenTheFilterChanges) {
  close_gate();
  select(4, off(kInstructions));
  EXPECT_EQ(error().raw, 0u);
  select(4, kInstructions);
  EXPECT_EQ(error(), error_of(Code::kFiltered, 4));
  forget_troubles();
  pv->gate_changed();
  pv->before_entry();
  EXPECT_EQ(error(), error_of(Code::kFiltered, 4));
  select(4, off(kInstructions));
  EXPECT_EQ(state(4).raw, 0u);
}

TEST_F(PvPerfDeniedEvents, RawOrGenericAreTheSame) {
  close_gate();
  run(0, pv_event(pv::Type::kRaw, 0xc0));
  EXPECT_EQ(state_code(0), Code::kFiltered);
  EXPECT_EQ(perf.events.size(), 0u);
}

// ---- Times --------------------------------------------------------------------------------------

TEST_F(PvPerfHostEvents, TimesPassWhileTheVcpuIsOnAHostCpu) {
  run(0, kInstructions);
  pass(10);
  pv->scheduled_out();
  pass(1'000);
  EXPECT_EQ(time_enabled(0), 10u);
  pv->scheduled_in();
  pass(5);
  EXPECT_EQ(time_enabled(0), 15u);
  EXPECT_EQ(time_running(0), 15u);
  EXPECT_EQ(pv->times(0).enabled_ns, 15u);
  EXPECT_EQ(pv->times(0).running_ns, 15u);
}

TEST_F(PvPerfHostEvents, TimesPassWhileTheEventIsEnabledBothWays) {
  select(0, kInstructions);
  pass(10);
  write(Msr::kGlobalCtrl, 1);
  pass(20);
  select(0, off(kInstructions));
  pass(40);
  select(0, kInstructions);
  pass(80);
  write(Msr::kGlobalCtrl, 0);
  pass(160);
  EXPECT_EQ(time_enabled(0), 100u);
  EXPECT_EQ(time_running(0), 100u);
}

TEST_F(PvPerfHostEvents, TimesGoOnFromWhatIsWritten) {
  run(0, kInstructions);
  pass(10);
  write(0, BankMsr::kTimeEn, 1'000);
  write(0, BankMsr::kTimeRun, 500);
  pass(7);
  EXPECT_EQ(time_enabled(0), 1'007u);
  EXPECT_EQ(time_running(0), 507u);
}

TEST_F(PvPerfHostEvents, PageIsWrittenWhenTheVcpuGoes) {
  constexpr std::uint64_t kPage = 0x3000;
  write(Msr::kArea, kPage | 1);
  run(0, kInstructions);
  perf.count(123);
  pass(10);
  pv->scheduled_out();
  const auto page = host.get<pv::Page>(kPage);
  EXPECT_EQ(page.events[0].count, 123u);
  EXPECT_EQ(page.events[0].time_enabled, 10u);
}

// ---- Who is told --------------------------------------------------------------------------------

class NotingObserver final : public PvPerfObserver {
 public:
  struct Change {
    unsigned event;
    CounterStatus status;
    pv::Evtsel evtsel;
    friend bool operator==(const Change&, const Change&) = default;
  };
  void pv_event_changed(unsigned event, CounterStatus status, pv::Evtsel evtsel) override {
    changes.push_back({event, status, evtsel});
  }
  std::vector<Change> changes;
};

TEST_F(PvPerfHostEvents, ObserverIsToldOfEveryChangeOnce) {
  using Change = NotingObserver::Change;
  NotingObserver observer;
  pv->set_observer(&observer);
  run(0, kInstructions);
  select(0, kInstructions);
  select(0, kCycles);
  perf.no_room = true;
  run(1, kInstructions);
  pass(3 * kMs);
  perf.no_room = false;
  pass(kMs);
  write(Msr::kGlobalCtrl, 2);
  write(Msr::kGlobalCtrl, 0);
  const std::vector<Change> expected = {
      {0, CounterStatus::kCounting, kInstructions},
      {0, CounterStatus::kCounting, kCycles},
      {1, CounterStatus::kStarved, kInstructions},
      {1, CounterStatus::kCounting, kInstructions},
      {0, CounterStatus::kOff, kCycles},
      {1, CounterStatus::kOff, kInstructions},
  };
  EXPECT_EQ(observer.changes, expected);
  pv->set_observer(nullptr);
}

TEST_F(PvPerfHostEvents, ReportsAreToldWhatAnEventIsHere) {
  const auto event = pv->host_event(kInstructions);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->selector, (silicon::x86::EventSelector{.event = 0xc0, .unit_mask = 0}));
  EXPECT_EQ(event->asked, gp_counter(0)) << "a filter is asked about counters that can count it";
  const auto reference = pv->host_event(pv_event(pv::Generic::kReferenceCycles));
  ASSERT_TRUE(reference.has_value());
  EXPECT_EQ(reference->asked, fixed_counter(2)) << "nothing else counts it on this model";
  EXPECT_FALSE(pv->host_event(pv_event(pv::Software::kExits)).has_value());
  EXPECT_FALSE(pv->host_event(pv_event(pv::Type::kBreakpoint, 0)).has_value());
}

// ---- On a host whose counters are few -----------------------------------------------------------

TEST_F(PvPerfOnModelledPerf, MoreEventsThanCountersStarve) {
  make(full_pv_perf(32));
  for (unsigned i = 0; i < 32; ++i) select(i, pv_event(pv::Generic::kBranches));
  write(Msr::kGlobalCtrl, 0xffffffff);
  steps(10);
  pass(kMs);
  unsigned running = 0;
  for (unsigned i = 0; i < 32; ++i) {
    const bool runs = state(i).get(pv::State::kRunning) != 0;
    running += runs ? 1 : 0;
    EXPECT_EQ(state_code(i), runs ? Code::kOk : Code::kBusy) << i;
    EXPECT_EQ(time_enabled(i), kMs);
    EXPECT_EQ(time_running(i), runs ? kMs : 0u);
    EXPECT_EQ(pv->status(i), i < 8 ? CounterStatus::kCounting : CounterStatus::kStarved);
  }
  EXPECT_EQ(running, 8u) << "as many as the model has general-purpose counters";
  EXPECT_EQ(status(), pv::kStatusHostTrouble);
  EXPECT_LE(pv->open_host_events(), 32u);
  // Those that stop make room for as many others, within a millisecond.
  write(Msr::kGlobalCtrl, 0xfffffff0);
  pass(kMs);
  for (unsigned i = 4; i < 12; ++i) EXPECT_EQ(pv->status(i), CounterStatus::kCounting) << i;
}

TEST_F(PvPerfOnModelledPerf, WhoRunsGivesItsCounterBackBeforeOthersAskForOne) {
  constexpr pv::Evtsel kBranches = pv_event(pv::Generic::kBranches);
  make(full_pv_perf(9));
  for (unsigned i = 0; i < 9; ++i) select(i, kBranches);
  write(Msr::kGlobalCtrl, 0x1fe);
  write(Msr::kGlobalCtrl, 0x1ff);
  ASSERT_EQ(pv->status(0), CounterStatus::kStarved);
  ASSERT_EQ(pv->status(8), CounterStatus::kCounting);
  // Of one entry: event 8 needs a fixed counter only, event 0 a general-purpose one.
  for (const unsigned i : {0u, 8u}) {
    const pv::Evtsel evtsel = interrupting(i == 0 ? kBranches : kInstructions);
    ASSERT_TRUE(pv->write_msr(msr(i, BankMsr::kEvtsel), evtsel.raw, Initiator::kGuest).is_done());
  }
  pv->before_entry();
  EXPECT_EQ(pv->status(0), CounterStatus::kCounting) << "in the same entry";
  EXPECT_EQ(pv->status(8), CounterStatus::kCounting);
}

// ---- Nothing allocates --------------------------------------------------------------------------

TEST_F(PvPerfOnModelledPerf, NothingAllocates) {
  FakeEventGate gate;
  gate.denied = {{0x3c, 0x00}};
  const std::uint64_t values[] = {0,
                                  1,
                                  0x3001,
                                  0xff,
                                  kTurn - 1,
                                  interrupting(kInstructions).raw,
                                  kCycles.raw,
                                  pv_event(pv::Software::kExits).raw,
                                  pv::Batch::kLoad.kMask | pv::Batch::kStart.kMask | 0xff,
                                  ~std::uint64_t{0}};
  delivered_at.reserve(1000);
  const std::uint64_t before = bench::allocations();
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t offset = 0; offset < pv::kMsrCount; ++offset) {
      for (const std::uint64_t value : values) {
        (void)pv->read_msr(msr(offset), Initiator::kGuest);
        if (pv->write_msr(msr(offset), value, Initiator::kGuest).is_done()) pv->before_entry();
      }
    }
    for (unsigned i = 0; i < 8; ++i) {
      (void)try_write(msr(i, BankMsr::kEvtsel), interrupting(kInstructions).raw);
      (void)try_write(msr(i, BankMsr::kPeriod), 3 + i);
      (void)pv->rdpmc(pv::kRdpmcBase + i, true, true);
    }
    (void)try_write(msr(Msr::kGlobalCtrl), 0xff);
    steps(100);
    pv->count(pv::Software::kExits, 3, silicon::Privilege::kUser);
    pv->set_event_gate(round % 2 == 0 ? &gate : nullptr);
    pv->before_entry();
    pv->scheduled_out();
    pv->scheduled_in();
    pass(2 * kMs);
    (void)pv->save();
    pv->reset();
  }
  EXPECT_EQ(bench::allocations() - before, 0u);
}

}  // namespace
}  // namespace vpmu::virt::x86
