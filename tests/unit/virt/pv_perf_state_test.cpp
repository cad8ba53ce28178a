// SPDX-License-Identifier: MIT
//
// PV perf that moves: what it was is what it is, once; what does not fit is refused before it
// starts.
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "unit/virt/fake_event_gate.hpp"
#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Code;
using pv::Msr;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kPage = 0x3000;

class PvPerfStateTest : public PvPerfOnFakePerf {
 protected:
  /// The guest goes on at another host of the same configuration.
  void move() {
    const PvPerfState state = pv->save();
    fresh();
    const auto restored = pv->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
  }
  void fresh(const EventGate* gate = nullptr) {
    const PvPerfConfig config = pv->config();
    pv.reset();
    pv = std::make_unique<PvPerf>(config, PvPerf::Around{.model = &model,
                                                         .perf = &perf,
                                                         .vcpu = hostperf::VcpuIndex{0},
                                                         .host = &host,
                                                         .areas = &areas});
    if (gate != nullptr) pv->set_event_gate(gate);
    pv->scheduled_in();
  }
  std::string refusal(const PvPerfState& state) {
    const auto restored = pv->restore(state);
    return restored.has_value() ? "" : restored.error().message;
  }
  static pv::Evtsel raw_event(unsigned select, unsigned unit_mask) {
    return pv_event(pv::Type::kRaw, select | unit_mask << 12);
  }
};

/// A guest in the middle of everything.
class BusyPvPerf : public PvPerfStateTest {
 protected:
  BusyPvPerf() {
    write(Msr::kArea, kPage | 1);
    select(0, interrupting(kInstructions));
    set_count(0, kTurn - 100);
    write(0, BankMsr::kPeriod, 1000);
    select(1, kCycles);
    select(2, raw_event(0xc4, 0x00));
    select(3, pv_event(pv::Generic::kBusCycles));  // absent
    select(4, pv_event(pv::Software::kExits));
    set_count(5, 77);
    write(Msr::kGlobalCtrl, 0x3f);
    count_more(130);
    pass(300);
  }
};

TEST_F(BusyPvPerf, EveryRegisterArrives) {
  const PvPerfState before = pv->save();
  move();
  pv->before_entry();
  PvPerfState after = pv->save();
  EXPECT_EQ(after.seq, before.seq + 2);  // goes on behind the page's
  after.seq = before.seq;
  EXPECT_EQ(after.statistics.host_events_opened, 2 * before.statistics.host_events_opened);
  after.statistics.host_events_opened = before.statistics.host_events_opened;
  EXPECT_EQ(after, before);
  EXPECT_EQ(count(0), kTurn - 970);
  EXPECT_EQ(count(1), 130u);
  EXPECT_EQ(count(5), 77u);
  EXPECT_EQ(read(0, BankMsr::kPeriod), 1000u);
  EXPECT_EQ(read(Msr::kGlobalCtrl), 0x3fu);
  EXPECT_EQ(read(Msr::kArea), kPage | 1);
  EXPECT_EQ(status(), bit(0) | bit(62));
  EXPECT_EQ(error(), error_of(Code::kCode, 3));
}

TEST_F(BusyPvPerf, EventsGoOnWhereTheyWere) {
  move();
  EXPECT_TRUE(pv->has_entry_work());
  pv->before_entry();
  EXPECT_EQ(perf.of(0)->attr.period, 970u);
  perf.count(7);
  pv->count(pv::Software::kExits, 3, silicon::Privilege::kKernel);
  EXPECT_EQ(count(0), kTurn - 963);
  EXPECT_EQ(count(1), 137u);
  EXPECT_EQ(count(2), 137u);
  EXPECT_EQ(count(4), 3u);
  EXPECT_EQ(count(5), 77u);
}

TEST_F(BusyPvPerf, TimesGoOnAndLeaveOutTheMove) {
  const std::uint64_t enabled = time_enabled(1), running = time_running(1);
  const PvPerfState state = pv->save();
  host.now += 5000;
  fresh();
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  EXPECT_EQ(time_enabled(1), enabled);
  EXPECT_EQ(time_running(1), running);
  host.now += 40;
  EXPECT_EQ(time_enabled(1), enabled + 40);
  EXPECT_EQ(time_running(1), running + 40);
}

TEST_F(BusyPvPerf, TimeUntilItGoesOnThereIsAsItWouldHaveBeenHere) {
  const std::uint64_t enabled = time_enabled(1), running = time_running(1);
  const std::uint64_t absent = time_running(3);
  move();
  host.now += 40;  // other vCPUs run first
  pv->before_entry();
  EXPECT_EQ(time_enabled(1), enabled + 40);
  EXPECT_EQ(time_running(1), running + 40);
  EXPECT_EQ(time_running(3), absent);
}

TEST_F(BusyPvPerf, SavingChangesNothingThatAGuestCouldSee) {
  const PvPerfState first = pv->save();
  EXPECT_EQ(pv->save(), first);
  EXPECT_FALSE(pv->has_entry_work());
  perf.count(10);
  EXPECT_EQ(count(1), 140u);
  EXPECT_EQ(perf.of(0)->period_changes, 1);  // at the overflow
}

/// What a VMM does that copies registers: the order of the ABI's migration.
TEST_F(BusyPvPerf, RegisterByRegisterIsTheSame) {
  struct Bank {
    std::array<std::uint64_t, 5> registers;
  };
  const auto host_read = [&](MsrIndex index) {
    const Access access = pv->read_msr(index, Initiator::kHost);
    EXPECT_TRUE(access.is_done());
    return access.value();
  };
  const auto host_write = [&](MsrIndex index, std::uint64_t value) {
    EXPECT_EQ(pv->write_msr(index, value, Initiator::kHost), Access::done());
  };
  constexpr BankMsr kOrder[] = {BankMsr::kCount, BankMsr::kPeriod, BankMsr::kTimeEn,
                                BankMsr::kTimeRun, BankMsr::kEvtsel};
  const PvPerfState saved = pv->save();
  const std::uint64_t control = host_read(msr(Msr::kGlobalCtrl));
  const std::uint64_t wrapped = host_read(msr(Msr::kGlobalStatus));
  const std::uint64_t wrong = host_read(msr(Msr::kError));
  const std::uint64_t area = host_read(msr(Msr::kArea));
  std::array<Bank, 8> banks;
  for (unsigned i = 0; i < banks.size(); ++i) {
    for (std::size_t n = 0; n < 5; ++n) banks[i].registers[n] = host_read(msr(i, kOrder[n]));
  }

  fresh();
  host_write(msr(Msr::kGlobalCtrl), 0);
  for (unsigned i = 0; i < banks.size(); ++i) {
    for (std::size_t n = 0; n < 5; ++n) host_write(msr(i, kOrder[n]), banks[i].registers[n]);
  }
  host_write(msr(Msr::kArea), area);
  host_write(msr(Msr::kStatusReset), 0xff | bit(62));
  host_write(msr(Msr::kStatusSet), wrapped);
  host_write(msr(Msr::kGlobalCtrl), control);
  pv->before_entry();
  host_write(msr(Msr::kError), wrong);
  EXPECT_EQ(host.raised, 1);  // before the move
  PvPerfState by_registers = pv->save();

  fresh();
  ASSERT_TRUE(pv->restore(saved).has_value());
  pv->before_entry();
  PvPerfState by_state = pv->save();

  // What a VMM of registers does not know: statistics, and when the page is due.
  by_registers.statistics = by_state.statistics;
  by_registers.publish_due_ns = by_state.publish_due_ns;
  by_registers.tick_ns = by_state.tick_ns;
  by_registers.interrupts_in_tick = by_state.interrupts_in_tick;
  by_state.seq = by_registers.seq;  // it was adopted twice
  EXPECT_EQ(by_registers, by_state);
}

// ---- Interrupts ---------------------------------------------------------------------------------

class SamplingPvPerf : public PvPerfStateTest {
 protected:
  SamplingPvPerf() {
    select(0, interrupting(kInstructions));
    set_count(0, kTurn - 5);
    write(Msr::kGlobalCtrl, 1);
  }
};

TEST_F(SamplingPvPerf, PendingInterruptIsDeliveredExactlyOnce) {
  perf.count(5);
  ASSERT_EQ(host.raised, 0);
  move();
  pv->before_entry();
  pv->before_entry();
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(status(), 1u);
  EXPECT_EQ(pv->statistics().overflows, 1u);
}

TEST_F(SamplingPvPerf, DeliveredInterruptIsNotDeliveredAgain) {
  count_more(5);
  ASSERT_EQ(host.raised, 1);
  unmask();  // as on AMD's, whose LVTPC does not mask itself
  move();
  pv->before_entry();
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(status(), 1u);
}

TEST_F(SamplingPvPerf, OverflowThatTheHostHasNotYetReportedHappensExactlyOnce) {
  perf.of(0)->count += 7;  // and its signal is on its way
  const PvPerfState state = pv->save();
  EXPECT_EQ(state.events[0].count, 2u);
  EXPECT_EQ(state.global_status, 1u);
  EXPECT_TRUE(state.interrupt_pending);
  // Who was only looked at goes on too, and then gets the signal.
  pv->on_overflow(hostperf::EventId{0}, 0);
  pv->before_entry();
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(pv->statistics().overflows, 1u);
}

TEST_F(SamplingPvPerf, InterruptThatTheRateLimitHoldsBackComesInTheNextTick) {
  PvPerfConfig config = full_pv_perf();
  config.interrupts_per_ms = 1;
  make(config);
  select(0, interrupting(kInstructions));
  set_count(0, kTurn - 1);
  write(Msr::kGlobalCtrl, 1);
  count_more(1);
  unmask();
  write(Msr::kStatusReset, 1);
  set_count(0, kTurn - 1);
  count_more(1);
  ASSERT_EQ(host.raised, 1);
  move();
  pv->before_entry();
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 1u);
  pass(kMs);
  EXPECT_EQ(host.raised, 2);
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 0u);
}

TEST_F(SamplingPvPerf, WhatNobodyHeedsStaysUnarmed) {
  write(0, BankMsr::kPeriod, 10);
  count_more(5);
  count_more(10);
  ASSERT_EQ(perf.of(0)->attr.period, 0u);
  move();
  pv->before_entry();
  EXPECT_EQ(perf.of(0)->attr.period, 0u);
  const std::uint64_t overflows = pv->statistics().overflows;
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(perf.of(0)->attr.period, 10u);
  count_more(10);
  EXPECT_EQ(pv->statistics().overflows, overflows + 1);
  EXPECT_EQ(status(), 1u);
}

// ---- Hypercalls ---------------------------------------------------------------------------------

class CallingPvPerf : public PvPerfStateTest {
 protected:
  static constexpr std::uint64_t kParam = 0x5000, kAttr = 0x6000, kRecord = 0x7000;
  static constexpr unsigned kId = 2;

  CallingPvPerf() {
    pv::CallFlags flags;
    flags.set(pv::CallFlags::kInterrupt, 1);
    host.put(kAttr, pv::CallAttr{.type = static_cast<std::uint32_t>(pv::Type::kGeneric),
                                 .pad = 0,
                                 .config = static_cast<std::uint64_t>(pv::Generic::kInstructions),
                                 .sample_period = 10,
                                 .read_format = mask_of(pv::CallReadFormat::kTimeEnabled),
                                 .flags = flags.raw,
                                 .reserved = 0});
    host.put(kParam, pv::CallParam{kAttr, kRecord, kId, 0, 0});
    EXPECT_EQ(call(pv::Call::kOpen, kParam), 0);
    EXPECT_EQ(call(pv::Call::kEnable, kId), 0);
  }
  std::int64_t call(pv::Call operation, std::uint64_t argument) {
    const Access access =
        pv->hypercall({.number = pv::kHypercall,
                       .arguments = {static_cast<std::uint64_t>(operation), argument, 0, 0},
                       .long_mode = true,
                       .user = false});
    pv->before_entry();
    return static_cast<std::int64_t>(access.value());
  }
  pv::CallEvent record() { return host.get<pv::CallEvent>(kRecord); }
};

TEST_F(CallingPvPerf, RecordOfAnOverflowIsWrittenThereBeforeItsInterrupt) {
  perf.count(10);
  ASSERT_EQ(record().status & mask_of(pv::CallStatus::kOverflowed), 0u);
  move();
  std::uint64_t seen = 0;
  host.on_pmi = [&] { seen = record().status; };
  pv->before_entry();
  EXPECT_EQ(host.raised, 1);
  EXPECT_NE(seen & mask_of(pv::CallStatus::kOverflowed), 0u);
  EXPECT_EQ(record().count, kTurn - 10);
}

TEST_F(CallingPvPerf, OpenIdsStayOpenAndRecordsAreNotWrittenForNothing) {
  perf.count(4);
  host.now += 300;
  const pv::CallEvent before = record();
  move();
  pv->before_entry();
  EXPECT_EQ(record().count, before.count);
  EXPECT_EQ(call(pv::Call::kOpen, kParam), static_cast<std::int64_t>(pv::CallError::kInvalid));
  EXPECT_EQ(call(pv::Call::kRead, kId), 0);
  EXPECT_EQ(record().count, kTurn - 6);
  EXPECT_EQ(record().time_enabled, 300u);
  EXPECT_EQ(record().time_running, 0u);  // was not asked for
  EXPECT_EQ(call(pv::Call::kClose, kId), 0);
  EXPECT_EQ(call(pv::Call::kRead, kId), static_cast<std::int64_t>(pv::CallError::kInvalid));
}

// ---- The page -----------------------------------------------------------------------------------

class MovingPage : public PvPerfStateTest {
 protected:
  MovingPage() {
    write(Msr::kArea, kPage | 1);
    select(0, kInstructions);
    write(Msr::kGlobalCtrl, 1);
  }
  pv::PageHeader header() { return host.get<pv::PageHeader>(kPage); }
};

TEST_F(MovingPage, KeepsItsContentUntilItIsDue) {
  perf.count(50);
  write(Msr::kStatusReset, 0);
  pass(kMs);
  const pv::PageHeader before = header();
  perf.count(50);
  host.put(kPage + 0xf00, std::uint64_t{0x1234});
  move();
  pv->before_entry();
  EXPECT_EQ(header().seq, before.seq);
  EXPECT_EQ(header().pub_ns, before.pub_ns);
  EXPECT_EQ(host.get<pv::EventRecord>(kPage + 0x100).count, 50u);
  pass(kMs);
  EXPECT_EQ(host.get<pv::EventRecord>(kPage + 0x100).count, 100u);
  EXPECT_EQ(header().pub_ns, before.pub_ns + kMs);
  EXPECT_EQ(host.get<std::uint64_t>(kPage + 0xf00), 0x1234u);
}

TEST_F(MovingPage, SequenceGoesOnBehindWhatIsInThePage) {
  for (const std::uint32_t found : {40u, 41u, 0xfffffffeu, 0xffffffffu}) {
    const PvPerfState state = pv->save();
    host.put(kPage, found);
    fresh();
    ASSERT_TRUE(pv->restore(state).has_value());
    const std::uint32_t next = found + found % 2 + 2;
    EXPECT_EQ(pv->save().seq, next);
    pass(2 * kMs);
    EXPECT_EQ(header().seq % 2, 0u);
    EXPECT_GT(static_cast<std::int32_t>(header().seq - next), 0);
  }
}

TEST_F(MovingPage, PublicationThatWasRequestedComes) {
  perf.count(9);
  ASSERT_EQ(pv->write_msr(msr(Msr::kGlobalCtrl), 0, Initiator::kGuest), Access::done());
  move();
  pv->before_entry();
  EXPECT_EQ(host.get<pv::EventRecord>(kPage + 0x100).count, 9u);
  EXPECT_EQ(header().global_ctrl, 0u);
}

TEST_F(MovingPage, PageThatIsNoRamThereIsRefused) {
  const PvPerfState state = pv->save();
  for (const auto kind : {FakePvPerfHost::Kind::kNothing, FakePvPerfHost::Kind::kReadOnly}) {
    fresh();
    host.set_kind(kPage, kind);
    EXPECT_NE(refusal(state).find("AREA is 0x3001"), std::string::npos);
    EXPECT_EQ(read(Msr::kArea), 0u);
    EXPECT_EQ(read(Msr::kGlobalCtrl), 0u);
    host.set_kind(kPage, FakePvPerfHost::Kind::kRam);
  }
}

TEST_F(MovingPage, PageOfAnotherVcpuIsRefused) {
  const PvPerfState state = pv->save();
  fresh();
  ASSERT_TRUE(areas.claim(hostperf::VcpuIndex{1}, GuestPhysical{kPage}));
  EXPECT_NE(refusal(state).find("AREA"), std::string::npos);
  areas.release(hostperf::VcpuIndex{1});
  EXPECT_EQ(refusal(state), "");
}

TEST_F(PvPerfStateTest, SequenceOfAPageThatIsOffArrivesToo) {
  write(Msr::kArea, kPage | 1);
  write(Msr::kArea, 0);
  const std::uint32_t seq = pv->save().seq;
  ASSERT_NE(seq, 0u);
  move();
  EXPECT_EQ(pv->save().seq, seq);
}

// ---- What the host could not, or was not to, count ----------------------------------------------

TEST_F(PvPerfStateTest, DeniedEventStaysDeniedAndErrorIsNotSaidAgain) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  pv->set_event_gate(&gate);
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  ASSERT_EQ(error(), error_of(Code::kFiltered, 0));
  write(Msr::kError, 0);
  const PvPerfState state = pv->save();
  fresh(&gate);
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  EXPECT_EQ(state_code(0), Code::kFiltered);
  EXPECT_EQ(this->state(0).get(pv::State::kRefused), 1u);
  EXPECT_EQ(error().raw, 0u);
  EXPECT_EQ(status(), 0u);
}

TEST_F(PvPerfStateTest, OtherFilterThereIsAppliedBeforeTheGuestGoesOn) {
  select(0, kInstructions);
  select(1, kCycles);
  write(Msr::kGlobalCtrl, 3);
  perf.count(4);
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  const PvPerfState state = pv->save();
  fresh(&gate);
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  perf.count(4);
  EXPECT_EQ(count(0), 4u);
  EXPECT_EQ(count(1), 8u);
  EXPECT_EQ(error(), error_of(Code::kFiltered, 0));
}

TEST_F(PvPerfStateTest, OtherFilterThereIsAppliedToStarvedEventsToo) {
  perf.no_room = true;
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  ASSERT_EQ(state_code(0), Code::kBusy);
  const PvPerfState state = pv->save();
  FakeEventGate gate;
  gate.denied = {{.event = 0xc0, .unit_mask = 0x00}};
  fresh(&gate);
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  EXPECT_EQ(state_code(0), Code::kFiltered);
  pv->set_event_gate(nullptr);
}

TEST_F(PvPerfStateTest, FilterThatIsAboutToChangeIsSaidOfWhereTheGuestWillBe) {
  FakeEventGate gate;
  gate.denied = {{0xc0, 0x00}};
  pv->set_event_gate(&gate);
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  write(Msr::kError, 0);
  pv->gate_changed();
  const PvPerfState state = pv->save();
  pv->before_entry();
  const pv::ErrorRegister stayed = error();
  fresh(&gate);
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  EXPECT_EQ(error(), stayed);
}

TEST_F(PvPerfStateTest, StarvedEventGoesOnWaitingBehindThoseThatRan) {
  perf.room = 1;
  select(1, kCycles);
  write(Msr::kGlobalCtrl, 3);
  select(0, kInstructions);
  ASSERT_EQ(state_code(0), Code::kBusy);
  write(Msr::kStatusReset, bit(62));
  write(Msr::kError, 0);
  move();
  pv->before_entry();
  EXPECT_EQ(state_code(0), Code::kBusy);
  EXPECT_EQ(state_code(1), Code::kOk);
  EXPECT_EQ(error().raw, 0u);
  EXPECT_EQ(status(), 0u);
  perf.room = 2;
  pass(kMs);
  EXPECT_EQ(state_code(0), Code::kOk);
}

TEST_F(PvPerfStateTest, EventThatHasNoCounterThereShowsIt) {
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  perf.count(3);
  perf.room = 0;
  move();
  pv->before_entry();
  EXPECT_EQ(count(0), 3u);
  EXPECT_EQ(state_code(0), Code::kBusy);
  EXPECT_EQ(status(), bit(62));
  EXPECT_EQ(error(), error_of(Code::kBusy, 0));
}

TEST_F(PvPerfStateTest, ObserverIsToldWhatBecomesOfEvents) {
  struct Observer final : PvPerfObserver {
    void pv_event_changed(unsigned event, CounterStatus status, pv::Evtsel) override {
      told.emplace_back(event, status);
    }
    std::vector<std::pair<unsigned, CounterStatus>> told;
  } observer;
  select(0, kInstructions);
  select(1, pv_event(pv::Generic::kBusCycles));
  write(Msr::kGlobalCtrl, 3);
  const PvPerfState state = pv->save();
  fresh();
  pv->set_observer(&observer);
  ASSERT_TRUE(pv->restore(state).has_value());
  pv->before_entry();
  const std::vector<std::pair<unsigned, CounterStatus>> expected{
      {1, CounterStatus::kUnsupportedEvent}, {0, CounterStatus::kCounting}};
  EXPECT_EQ(observer.told, expected);
  pv.reset();
}

// ---- What is refused ----------------------------------------------------------------------------

TEST_F(BusyPvPerf, HostThatLacksAGenericEventIsRefusedBeforeItStarts) {
  const PvPerfState state = pv->save();
  PvPerfConfig config = full_pv_perf();
  config.generic_events &= ~bit(1);
  make(config);
  const PvPerfState fresh_one = pv->save();
  EXPECT_NE(refusal(state).find("instructions"), std::string::npos);
  EXPECT_EQ(pv->save(), fresh_one);
  EXPECT_EQ(perf.open_events(), 0u);
}

TEST_F(BusyPvPerf, WhatDoesNotFitIsRefusedWithTheRemedy) {
  struct Case {
    std::function<void(PvPerfState&)> saved;
    const char* reason;
    const char* remedy;
  };
  const Case cases[] = {
      {[](auto& s) { s.config.events = 9; }, "9 events (N)", "events=9"},
      {[](auto& s) { s.config.width = 60; }, "60 bits (W)", "width=60"},
      {[](auto& s) { s.config.msr_base = 0x40010000; }, "0x40010000", "msr-base=0x40010000"},
      {[](auto& s) { s.version = 2 << 16; }, "version 2.0", "move it"},
      {[](auto& s) { s.version = 1 << 16 | 1; }, "version 1.1", "move it"},
      {[](auto& s) { s.version = 0; }, "version 0.0", "move it"},
      {[](auto& s) { s.host_family = 15; }, "event 2: counts 0xc4 of type 2", "stop the event"},
      {[](auto& s) { s.host_vendor = silicon::x86::Vendor::kAmd; }, "of type 2", "stop the event"},
  };
  const PvPerfState state = pv->save();
  fresh();
  const PvPerfState fresh_one = pv->save();
  for (const Case& each : cases) {
    PvPerfState saved = state;
    each.saved(saved);
    const std::string message = refusal(saved);
    EXPECT_NE(message.find(each.reason), std::string::npos) << message;
    EXPECT_NE(message.find(each.remedy), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_EQ(pv->save(), fresh_one);
  }
}

TEST_F(BusyPvPerf, StatesThatNobodyCanHaveSavedAreRefused) {
  const std::vector<std::function<void(PvPerfState&)>> breakages{
      [](auto& s) { s.config = {}; },
      [](auto& s) { s.config.features.raw |= bit(31); },
      [](auto& s) { s.config.cpuid_base = 7; },
      [](auto& s) { s.global_ctrl |= bit(8); },
      [](auto& s) { s.global_ctrl |= bit(32); },
      [](auto& s) { s.global_status |= bit(8); },
      [](auto& s) { s.global_status |= bit(63); },
      [](auto& s) { s.error = pv::kCodes; },
      [](auto& s) { s.error = bit(16); },
      [](auto& s) { s.area = kPage | 3; },
      [](auto& s) { s.area = bit(46) | 1; },
      [](auto& s) { s.area = 0xffff000 | 1; },
      [](auto& s) { s.seq = 3; },
      [](auto& s) { s.batch_code = pv::kCodes; },
      [](auto& s) { s.batch_id = 8; },
      [](auto& s) { s.events[8].count = 1; },
      [](auto& s) { s.events[31].called = true; },
      [](auto& s) { s.events[0].evtsel |= bit(44); },
      [](auto& s) { s.events[0].evtsel = 4; },
      [](auto& s) { s.events[0].evtsel = 10 << 8; },
      [](auto& s) { s.events[0].count = bit(48); },
      [](auto& s) { s.events[0].period = bit(48); },
      [](auto& s) { s.events[0].state = bit(4); },
      [](auto& s) { s.events[0].state = std::uint64_t{pv::kCodes} << 8; },
      [](auto& s) { s.events[0].call_event = 0x4000; },
      [](auto& s) { s.events[0].call_event_due = true; },
      [](auto& s) { s.events[0].call_read_format = 1; },
      [](auto& s) {
        s.events[0].called = true;
        s.events[0].call_event = 0x4004;
      },
      [](auto& s) {
        s.events[0].called = true;
        s.events[0].call_event = 0x4fe8;
      },
      [](auto& s) {
        s.events[0].called = true;
        s.events[0].call_read_format = 4;
      },
  };
  const PvPerfState state = pv->save();
  fresh();
  const PvPerfState fresh_one = pv->save();
  for (std::size_t n = 0; n < breakages.size(); ++n) {
    PvPerfState saved = state;
    breakages[n](saved);
    EXPECT_NE(refusal(saved), "") << n;
    EXPECT_EQ(pv->save(), fresh_one) << n;
  }
  EXPECT_EQ(refusal(state), "");
}

TEST_F(PvPerfStateTest, PeriodThatThisHostWouldRefuseIsRefused) {
  write(0, BankMsr::kPeriod, 5);
  PvPerfState state = pv->save();
  state.config.minimum_period = 10;
  PvPerfConfig config = full_pv_perf();
  config.minimum_period = 10;
  make(config);
  EXPECT_NE(refusal(state).find("PERIOD"), std::string::npos);
}

TEST_F(PvPerfStateTest, CacheEventThatCountsMustBeThereToo) {
  const auto l1d_read_miss = pv_event(pv::Type::kCache, 1 << 16);
  select(0, l1d_read_miss);
  PvPerfState state = pv->save();
  const auto move_to = [&](const char* name) {
    const PvPerf::Around around{.model = silicon::x86::find_cpu_model(name),
                                .perf = &perf,
                                .vcpu = hostperf::VcpuIndex{0},
                                .host = &host,
                                .areas = &areas};
    PvPerf there{pv->config(), around};
    const auto restored = there.restore(state);
    return restored.has_value() ? std::string{} : restored.error().message;
  };
  EXPECT_EQ(move_to("haswell-server"), "");
  EXPECT_NE(move_to("zen4").find("zen4 cannot"), std::string::npos) << move_to("zen4");
  // One that does not count may be anything.
  state.events[0].evtsel &= ~bit(42);
  EXPECT_EQ(move_to("zen4"), "");
}

TEST_F(PvPerfStateTest, RawEventMustBeInTheTableOfAnotherModelOfTheFamily) {
  const auto to_skylake = [&](pv::Evtsel evtsel, const EventGate* raw_events) {
    select(0, evtsel);
    PvPerf there{pv->config(),
                 PvPerf::Around{.model = silicon::x86::find_cpu_model("skylake-server"),
                                .perf = &perf,
                                .vcpu = hostperf::VcpuIndex{0},
                                .host = &host,
                                .areas = &areas,
                                .raw_events = raw_events}};
    return there.restore(pv->save()).has_value();
  };
  const FakeEventGate list;
  EXPECT_TRUE(to_skylake(raw_event(0xc4, 0x00), nullptr));
  EXPECT_FALSE(to_skylake(raw_event(0xc4, 0x11), nullptr));  // conditional branches of Ice Lake
  EXPECT_TRUE(to_skylake(raw_event(0xc4, 0x11), &list));     // the operator knows better
  EXPECT_TRUE(to_skylake(raw_event(0x12, 0x34), nullptr));   // did not count before either
}

/// Whatever is in a state, it is refused or it is a guest whose state it could be.
TEST_F(BusyPvPerf, HostileStatesAreRefusedOrHarmless) {
  std::mt19937_64 random{20};
  const PvPerfState good = pv->save();
  int taken = 0;
  for (int round = 0; round < 3000; ++round) {
    PvPerfState state = good;
    for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const std::uint64_t value = random() % 4 == 0 ? random() : bit(random() % 64);
      PvPerfState::Event& event = state.events[random() % 12];
      const std::array<std::function<void()>, 19> mutations{
          [&] { event.evtsel ^= value; },
          [&] { event.count ^= value; },
          [&] { event.period ^= value; },
          [&] { event.state ^= value & 0xf0f; },
          [&] { event.unheeded = true; },
          [&] { event.called = true; },
          [&] { event.call_event = value; },
          [&] { event.call_event_due = true; },
          [&] { event.time_enabled_ns = value; },
          [&] { state.global_ctrl ^= value; },
          [&] { state.global_status ^= value; },
          [&] { state.area ^= value; },
          [&] { state.error = value; },
          [&] { state.publish_due_ns = value; },
          [&] { state.tick_ns = value; },
          [&] { state.interrupts_in_tick = static_cast<std::uint32_t>(value); },
          [&] { state.interrupt_pending = true; },
          [&] { state.interrupt_held_back = true; },
          [&] { state.batch_id = static_cast<std::uint16_t>(value); },
      };
      mutations[random() % mutations.size()]();
    }
    fresh();
    if (!pv->restore(state).has_value()) continue;
    ++taken;
    for (int n = 0; n < 3; ++n) {
      pv->before_entry();
      count_more(random() % 2000);
      host.now += 700'000;
      if (pv->due_ns(false) <= host.now) pv->time_passed();
    }
    ASSERT_LE(pv->open_host_events(), 8u);
    for (unsigned i = 0; i < 8; ++i) ASSERT_LT(count(i), kTurn);
    ASSERT_EQ(status() & ~(0xff | bit(62)), 0u);
    ASSERT_EQ(read(Msr::kGlobalCtrl) & ~std::uint64_t{0xff}, 0u);
  }
  EXPECT_GT(taken, 500);
}

}  // namespace
}  // namespace vpmu::virt::x86
