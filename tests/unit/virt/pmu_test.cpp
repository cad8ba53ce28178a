// SPDX-License-Identifier: MIT
//
// How the virtual PMU uses host perf: when events are made, kept and given back, what overflows do.
#include "vpmu/virt/x86/pmu.hpp"

#include "unit/virt/pmu_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

namespace msr = silicon::x86::msr;
using hostperf::EventState;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr std::uint64_t kTurn48 = bit(48);

class PmuTest : public PmuFixture {
 protected:
  [[nodiscard]] std::uint64_t status_msr() { return read(msr::IA32_PERF_GLOBAL_STATUS).value(); }
};

// ---- Life cycle of host events ------------------------------------------------------------------

TEST_F(PmuTest, NothingIsOpenedUntilACounterIsEnabledLocallyAndGlobally) {
  EXPECT_EQ(perf.open_events(), 0u);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0);
  write(pmc(0), 5);
  write(event_select(0), kInstructions);
  EXPECT_EQ(perf.open_events(), 0u);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kOff);
  write(msr::IA32_PERF_GLOBAL_CTRL, 1);
  EXPECT_EQ(perf.open_events(), 1u);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(PmuTest, WriteTakesEffectBeforeEntryAndNotEarlier) {
  EXPECT_EQ(pmu->write_msr(event_select(0), kInstructions, Initiator::kGuest), Access::done());
  EXPECT_TRUE(pmu->has_entry_work());
  EXPECT_EQ(perf.open_events(), 0u);
  pmu->before_entry();
  EXPECT_FALSE(pmu->has_entry_work());
  EXPECT_EQ(perf.open_events(), 1u);
}

TEST_F(PmuTest, EventIsOpenedAsTheSelectorSays) {
  struct Case {
    std::uint64_t select;
    std::uint64_t config;
    bool exclude_user, exclude_kernel;
  };
  const Case cases[] = {
      {0x00c0 | kEn | kUsr | kOs, 0x00c0, false, false},
      {0x412e | kEn | kUsr, 0x412e, false, true},
      {0x00c4 | kEn | kOs | kInt, 0x00c4, true, false},
      {0x00c4 | kEn | kOs | bit(19), 0x00c4, true, false},  // pin control: ignored
      {0x003c | kEn | kOs | bit(18) | bit(23) | 0x05000000, 0x0584'003c, true, false},
      {0x003c | kEn, 0x003c, true, true},
  };
  for (const Case& expected : cases) {
    write(event_select(1), 0);
    write(event_select(1), expected.select);
    const auto* event = perf.of(1);
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->attr.config, expected.config);
    EXPECT_EQ(event->attr.exclude_user, expected.exclude_user);
    EXPECT_EQ(event->attr.exclude_kernel, expected.exclude_kernel);
    EXPECT_TRUE(event->attr.pinned);
    EXPECT_TRUE(event->attr.exclude_host);
    EXPECT_FALSE(event->attr.exclude_guest);
    EXPECT_EQ(event->target.kind, hostperf::Target::Kind::kVcpu);
    EXPECT_EQ(event->target.index, 3u);
  }
}

TEST_F(PmuTest, FixedCountersAreProgrammedAsTheirEvents) {
  struct Case {
    unsigned k;
    std::uint64_t control;
    std::uint64_t config;
    bool exclude_user, exclude_kernel;
  };
  const Case cases[] = {
      {0, 0x1, 0x00c0, true, false}, {1, 0x2, 0x003c, false, true}, {2, 0x3, 0x0300, false, false}};
  write(msr::IA32_PERF_GLOBAL_CTRL, 0x7ULL << 32);
  for (const Case& expected : cases) {
    write(msr::IA32_FIXED_CTR_CTRL, expected.control << (4 * expected.k));
    const auto* event = perf.of(32 + expected.k);
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->state, EventState::kActive);
    EXPECT_EQ(event->attr.config, expected.config);
    EXPECT_EQ(event->attr.exclude_user, expected.exclude_user);
    EXPECT_EQ(event->attr.exclude_kernel, expected.exclude_kernel);
    EXPECT_EQ(event->attr.period, bit(40));
  }
}

TEST_F(PmuTest, DisablingEachFixedCounterIsNoticed) {
  write(msr::IA32_PERF_GLOBAL_CTRL, 0x7ULL << 32);
  for (unsigned k = 0; k < 3; ++k) {
    write(msr::IA32_FIXED_CTR_CTRL, 0x333);
    write(msr::IA32_FIXED_CTR_CTRL, 0x333 & ~(0xfULL << (4 * k)));
    EXPECT_EQ(pmu->status(fixed_counter(k)), CounterStatus::kOff) << k;
    EXPECT_EQ(pmu->status(fixed_counter((k + 1) % 3)), CounterStatus::kCounting) << k;
  }
}

TEST_F(PmuTest, Version1CounterNeedsNoGlobalEnable) {
  make(kVersion1);
  write(event_select(0), kInstructions);
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(PmuTest, StoppedCounterKeepsItsEventAndItsValue) {
  write(event_select(0), kInstructions);
  perf.count(100);
  write(msr::IA32_PERF_GLOBAL_CTRL, 0);
  ASSERT_NE(perf.of(0), nullptr);
  EXPECT_EQ(perf.of(0)->state, EventState::kOff);
  perf.count(50);
  EXPECT_EQ(read(pmc(0)), Access::done(100));
  write(msr::IA32_PERF_GLOBAL_CTRL, 1);
  perf.count(7);
  EXPECT_EQ(read(pmc(0)), Access::done(107));
  EXPECT_EQ(perf.events.size(), 1u) << "the event was reused";
}

TEST_F(PmuTest, OtherEventNeedsANewHostEvent) {
  write(event_select(0), kInstructions);
  perf.count(100);
  write(event_select(0), kBranches);
  EXPECT_EQ(perf.open_events(), 1u);
  EXPECT_EQ(perf.of(0)->attr.config, 0xc4u);
  perf.count(5);
  EXPECT_EQ(read(pmc(0)), Access::done(105)) << "the value is the counter's, not the event's";
}

TEST_F(PmuTest, SameValueWrittenAgainDoesNotReprogram) {
  write(event_select(0), kInstructions);
  EXPECT_EQ(pmu->write_msr(event_select(0), kInstructions, Initiator::kGuest), Access::done());
  EXPECT_FALSE(pmu->has_entry_work());
}

TEST_F(PmuTest, ChangingOnlyTheInterruptBitKeepsTheEvent) {
  write(event_select(0), kInstructions);
  write(event_select(0), kInstructions | kInt);
  EXPECT_EQ(perf.events.size(), 1u);
}

TEST_F(PmuTest, UnusedEventIsGivenBackAfterATimeSlice) {
  write(event_select(0), kInstructions);
  write(event_select(0), 0);
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(perf.open_events(), 1u) << "the guest accessed it in the last slice";
  pmu->scheduled_in();
  pmu->before_entry();
  EXPECT_EQ(perf.open_events(), 0u);
}

TEST_F(PmuTest, EnabledOrAccessedCountersKeepTheirEvents) {
  write(event_select(0), kInstructions);
  write(event_select(1), kInstructions);
  write(event_select(1), 0);
  for (int slice = 0; slice < 4; ++slice) {
    EXPECT_TRUE(read(pmc(1)).is_done());
    pmu->scheduled_in();
    pmu->before_entry();
  }
  EXPECT_EQ(perf.open_events(), 2u);
}

TEST_F(PmuTest, ValueOutlivesTheEvent) {
  write(event_select(0), kInstructions);
  perf.count(42);
  write(event_select(0), 0);
  for (int slice = 0; slice < 2; ++slice) {
    pmu->scheduled_in();
    pmu->before_entry();
  }
  ASSERT_EQ(perf.open_events(), 0u);
  EXPECT_EQ(read(pmc(0)), Access::done(42));
}

TEST_F(PmuTest, AllEventsAreGivenBackAtTheEnd) {
  for (unsigned i = 0; i < 4; ++i) write(event_select(i), kInstructions);
  EXPECT_EQ(perf.open_events(), 4u);
  pmu.reset();
  EXPECT_EQ(perf.open_events(), 0u);
}

// ---- Events that the host cannot count ----------------------------------------------------------

TEST_F(PmuTest, UnsupportedEventStandsStillAndIsVisibleToTheHostOnly) {
  perf.refuse_open = hostperf::OpenError::kNoSuchEvent;
  EXPECT_EQ(try_write(event_select(0), kInstructions), Access::done());
  EXPECT_EQ(read(event_select(0)), Access::done(kInstructions));
  EXPECT_EQ(read(pmc(0)), Access::done(0));
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kUnsupportedEvent);
  EXPECT_FALSE(pmu->has_entry_work()) << "no use in trying again";
}

TEST_F(PmuTest, StarvedCounterStandsStillAndIsTriedAgainWithoutSpinning) {
  struct Case {
    bool refuse;
    bool no_room;
  };
  for (const Case starving : {Case{true, false}, Case{false, true}}) {
    make(kVersion2);
    perf.refuse_open.reset();
    if (starving.refuse) perf.refuse_open = hostperf::OpenError::kNoSpace;
    perf.no_room = starving.no_room;
    write(pmc(0), 9);
    write(event_select(0), kInstructions);
    EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kStarved);
    EXPECT_EQ(read(pmc(0)), Access::done(9));
    EXPECT_FALSE(pmu->has_entry_work());

    perf.refuse_open.reset();
    perf.no_room = false;
    write(event_select(1), kBranches);
    EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
    perf.count(1);
    EXPECT_EQ(read(pmc(0)), Access::done(10));
  }
}

TEST_F(PmuTest, StarvedCounterIsTriedAgainInTheNextTimeSlice) {
  perf.no_room = true;
  write(event_select(0), kInstructions);
  perf.no_room = false;
  pmu->scheduled_in();
  EXPECT_TRUE(pmu->has_entry_work());
  pmu->before_entry();
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(PmuTest, EventThatTheHostTookAwayShowsAsStarved) {
  write(event_select(0), kInstructions);
  perf.of(0)->state = EventState::kError;
  EXPECT_EQ(pmu->status(gp_counter(0)), CounterStatus::kStarved);
  EXPECT_EQ(read(pmc(0)), Access::done(0));
}

// ---- Periods and overflow -----------------------------------------------------------------------

TEST_F(PmuTest, PeriodIsWhatIsLeftOfTheTurn) {
  write(full_pmc(0), kTurn48 - 1000);
  write(event_select(0), kInstructions);
  EXPECT_EQ(perf.of(0)->attr.period, 1000u);
  write(full_pmc(0), 0);
  EXPECT_EQ(perf.of(0)->attr.period, kTurn48);
}

TEST_F(PmuTest, CounterWriteWhileRunningMovesTheOverflow) {
  write(event_select(0), kInstructions | kInt);
  perf.count(10);
  write(full_pmc(0), kTurn48 - 5);
  EXPECT_EQ(read(pmc(0)), Access::done(kTurn48 - 5));
  EXPECT_EQ(perf.of(0)->attr.period, 5u);
  perf.count(4);
  EXPECT_EQ(status_msr(), 0u);
  perf.count(1);
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(read(pmc(0)), Access::done(0));
}

TEST_F(PmuTest, OverflowSetsTheStatusBitWithOrWithoutInterrupt) {
  for (const std::uint64_t interrupt : {std::uint64_t{0}, kInt}) {
    make(kVersion2);
    write(full_pmc(2), kTurn48 - 3);
    write(event_select(2), kInstructions | interrupt);
    perf.count(5);
    EXPECT_TRUE(pmu->has_entry_work());
    pmu->before_entry();
    EXPECT_EQ(status_msr(), bit(2));
    EXPECT_EQ(read(pmc(2)), Access::done(2)) << "it counts on";
    EXPECT_EQ(perf.of(2)->attr.period, kTurn48 - 2);
  }
  EXPECT_EQ(sink.raised, 1);
}

TEST_F(PmuTest, FixedCounterOverflowSetsItsBitAndInterruptsIfAsked) {
  for (unsigned k = 0; k < 3; ++k) {
    make(kVersion2);
    sink = {};
    write(fixed(k), bit(40) - 2);
    write(msr::IA32_FIXED_CTR_CTRL, 0xbULL << (4 * k));
    write(msr::IA32_PERF_GLOBAL_CTRL, bit(32 + k));
    perf.count(2);
    pmu->before_entry();
    EXPECT_EQ(status_msr(), bit(32 + k));
    EXPECT_EQ(sink.raised, 1);
    EXPECT_EQ(read(fixed(k)), Access::done(0));
  }
}

TEST_F(PmuTest, StatusIsReadableBeforeThePmiArrives) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  perf.count(1);
  EXPECT_EQ(status_msr(), 1u);
  EXPECT_EQ(sink.raised, 0);
  EXPECT_EQ(sink.requests, 1);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
}

TEST_F(PmuTest, OverflowsBetweenTwoEntriesAreOnePmi) {
  for (unsigned i = 0; i < 4; ++i) {
    write(full_pmc(i), kTurn48 - 1);
    write(event_select(i), kInstructions | kInt);
  }
  perf.count(1);
  pmu->before_entry();
  pmu->before_entry();
  EXPECT_EQ(status_msr(), 0xfu);
  EXPECT_EQ(sink.raised, 1);
  const PmuStatistics statistics = pmu->statistics();
  EXPECT_EQ(statistics.overflows, 4u);
  EXPECT_EQ(statistics.pmis_raised, 1u);
}

TEST_F(PmuTest, PmisAreCountedByWhatBecameOfThem) {
  write(event_select(0), kInstructions | kInt);
  for (const PmiOutcome outcome :
       {PmiOutcome::kDelivered, PmiOutcome::kMasked, PmiOutcome::kMasked, PmiOutcome::kRejected}) {
    sink.outcome = outcome;
    write(full_pmc(0), kTurn48 - 1);
    perf.count(1);
    pmu->before_entry();
  }
  const PmuStatistics statistics = pmu->statistics();
  EXPECT_EQ(statistics.pmis_raised, 4u);
  EXPECT_EQ(statistics.pmis_delivered, 1u);
  EXPECT_EQ(statistics.pmis_masked, 2u);
  EXPECT_EQ(statistics.pmis_rejected, 1u);
}

TEST_F(PmuTest, IntelAsksForLvtpcToBeMasked) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(sink.last, LvtpcAfterPmi::kMask);
}

TEST_F(PmuTest, OverflowOfACounterThatWaitsToBeReprogrammedIsDropped) {
  write(full_pmc(0), kTurn48 - 1);
  write(event_select(0), kInstructions | kInt);
  EXPECT_EQ(pmu->write_msr(event_select(0), kBranches, Initiator::kGuest), Access::done());
  perf.count(1);
  EXPECT_EQ(status_msr(), 0u);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 0);
}

TEST_F(PmuTest, Version1OverflowInterruptsWithoutAStatusRegister) {
  make(kVersion1);
  host_write(pmc(0), bit(40) - 1);
  write(event_select(0), kInstructions | kInt);
  perf.count(1);
  pmu->before_entry();
  EXPECT_EQ(sink.raised, 1);
  EXPECT_EQ(read(msr::IA32_PERF_GLOBAL_STATUS), Access::fault());
}

TEST_F(PmuTest, LegacyWriteArmsTheOverflowThroughItsSignExtension) {
  write(pmc(0), static_cast<std::uint32_t>(-1000));
  write(event_select(0), kInstructions);
  EXPECT_EQ(perf.of(0)->attr.period, 1000u);
}

TEST_F(PmuTest, RewritingTheValueReadDoesNotOverflowAtOnce) {
  write(pmc(0), 0xffff'fff0);
  write(event_select(0), kInstructions | kInt);
  perf.count(4);
  const std::uint64_t value = read(pmc(0)).value();
  write(pmc(0), value);
  EXPECT_EQ(read(pmc(0)), Access::done(kTurn48 - 12));
  perf.count(11);
  EXPECT_EQ(status_msr(), 0u);
  perf.count(1);
  EXPECT_EQ(status_msr(), 1u);
}

TEST(CounterStatusName, IsWhatReportsPrint) {
  EXPECT_STREQ(name(CounterStatus::kOff), "off");
  EXPECT_STREQ(name(CounterStatus::kCounting), "counting");
  EXPECT_STREQ(name(CounterStatus::kUnsupportedEvent), "unsupported event");
  EXPECT_STREQ(name(CounterStatus::kStarved), "starved");
}

}  // namespace
}  // namespace vpmu::virt::x86
