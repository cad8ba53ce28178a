// SPDX-License-Identifier: MIT
//
// PV perf's overflows: GLOBAL_STATUS, the interrupt through LVTPC, what is delivered again, and the
// rate limit.
#include "unit/virt/pv_perf_fixture.hpp"

namespace vpmu::virt::x86 {
namespace {

using pv::BankMsr;
using pv::Code;
using pv::Msr;

constexpr std::uint64_t kPage = 0x3000;

class PvPerfInterrupts : public PvPerfOnFakePerf {
 protected:
  /// Events 0 to 2 count, and overflow after 100, 100 and 200.
  PvPerfInterrupts() {
    const std::array<std::uint64_t, 3> after = {100, 100, 200};
    for (unsigned i = 0; i < after.size(); ++i) {
      select(i, interrupting(kInstructions));
      set_count(i, kTurn - after[i]);
    }
    write(Msr::kGlobalCtrl, 7);
  }
  [[nodiscard]] bool throttled(unsigned i) { return state(i).get(pv::State::kThrottled) != 0; }
};

TEST_F(PvPerfInterrupts, SeveralAtOneEntryAreOne) {
  count_more(100);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(host.last, LvtpcAfterPmi::kMask);
}

TEST_F(PvPerfInterrupts, LvtpcOfAGuestWithAmdsVendorIsNotMasked) {
  pv.reset();
  pv = std::make_unique<PvPerf>(full_pv_perf(),
                                PvPerf::Around{.model = &model,
                                               .perf = &perf,
                                               .vcpu = hostperf::VcpuIndex{0},
                                               .host = &host,
                                               .areas = &areas,
                                               .guest_vendor = silicon::x86::Vendor::kAmd});
  select(0, interrupting(kInstructions));
  set_count(0, kTurn - 1);
  write(Msr::kGlobalCtrl, 1);
  count_more(1);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(host.last, LvtpcAfterPmi::kKeep);
}

TEST_F(PvPerfInterrupts, EventsThatDoNotAskForOneRaiseNone) {
  select(0, kInstructions);
  select(1, kInstructions);
  count_more(100);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(host.raised, 0);
  count_more(100);
  EXPECT_EQ(status(), 7u);
  EXPECT_EQ(host.raised, 1);
}

TEST_F(PvPerfInterrupts, AStatusBitThatIsStillSetRaisesNoOther) {
  count_more(100);
  unmask();
  set_count(0, kTurn - 10);
  count_more(10);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(pv->statistics().overflows, 3u);
}

TEST_F(PvPerfInterrupts, HandlerThatClearsOnlyOneOfTwoIsInterruptedAgain) {
  count_more(100);
  ASSERT_EQ(delivered(), 1);
  unmask();
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(status(), 2u);
  EXPECT_EQ(delivered(), 2);
  unmask();
  write(Msr::kStatusReset, 2);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(delivered(), 2);
}

TEST_F(PvPerfInterrupts, HandlerThatClearsBothIsNot) {
  count_more(100);
  unmask();
  write(Msr::kStatusReset, 3);
  EXPECT_EQ(delivered(), 1);
}

TEST_F(PvPerfInterrupts, OfAMaskedLvtpcIsDeliveredOnceAfterUnmaskAndResetOfAnotherBit) {
  lvtpc = PmiOutcome::kMasked;
  count_more(100);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(delivered(), 0);
  unmask();
  pv->before_entry();
  EXPECT_EQ(delivered(), 0) << "not replayed at unmask";
  write(Msr::kStatusReset, 1 << 5);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(delivered(), 1);
  pv->before_entry();
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(pv->statistics().pmis_masked, 1u);
}

TEST_F(PvPerfInterrupts, SetStatusRaisesNone) {
  write(Msr::kStatusSet, 7);
  EXPECT_EQ(host.raised, 0);
  write(Msr::kStatusReset, 6);
  EXPECT_EQ(host.raised, 1) << "but it is a status bit like others";
}

TEST_F(PvPerfInterrupts, HostTroubleRaisesNone) {
  write(Msr::kStatusSet, pv::kStatusHostTrouble);
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(host.raised, 0);
}

TEST_F(PvPerfInterrupts, LvtpcInAModeThatCannotBeDeliveredIsAnError) {
  lvtpc = PmiOutcome::kRejected;
  count_more(100);
  EXPECT_EQ(status(), 3u);
  EXPECT_EQ(delivered(), 0);
  EXPECT_EQ(error(), error_of(Code::kLvt));
  EXPECT_EQ(pv->statistics().pmis_rejected, 1u);
  write(Msr::kError, 0);
  unmask();
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(error().raw, 0u);
}

TEST_F(PvPerfInterrupts, PageIsWrittenBefore) {
  write(Msr::kArea, kPage | 1);
  std::uint64_t seen_status = 0, seen_count = ~std::uint64_t{0};
  host.on_pmi = [&] {
    const auto page = host.get<pv::Page>(kPage);
    seen_status = page.header.global_status;
    seen_count = page.events[1].count;
  };
  count_more(105);
  EXPECT_EQ(host.raised, 1);
  EXPECT_EQ(seen_status, 3u);
  EXPECT_EQ(seen_count, 5u);
}

TEST_F(PvPerfInterrupts, OverflowThatIsReadBeforeTheHostTellsIsOne) {
  // A host that tells late: the count is past the wrap, and nobody has said so.
  perf.of(0)->count += 150;
  EXPECT_EQ(count(0), 50u);
  EXPECT_EQ(status(), 1u);
  EXPECT_TRUE(pv->has_entry_work());
  pv->before_entry();
  EXPECT_EQ(delivered(), 1);
  pv->on_overflow(hostperf::EventId{0}, 0);
  pv->before_entry();
  EXPECT_EQ(pv->statistics().overflows, 1u);
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(perf.of(0)->attr.period, kTurn - 50) << "armed for the next one";
}

TEST_F(PvPerfInterrupts, WrapsBeforeAResetAreReset) {
  write(0, BankMsr::kPeriod, 10);
  count_more(100);
  count_more(10);  // nobody heeds it
  perf.of(0)->count += 25;
  unmask();
  write(Msr::kStatusReset, 3);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(count(0), kTurn - 10 + 5);
  EXPECT_EQ(perf.of(0)->attr.period, 5u);
  EXPECT_EQ(delivered(), 1);
}

// ---- Rate limit ---------------------------------------------------------------------------------

class PvPerfRateLimit : public PvPerfOnFakePerf {
 protected:
  static constexpr unsigned kLimit = 20;
  static constexpr std::uint64_t kPeriod = 50;

  PvPerfRateLimit() {
    host.now = 5'000 * kMs;  // a tick begins
    make(full_pv_perf());
    select(0, interrupting(kInstructions));
    write(0, BankMsr::kPeriod, kPeriod);
    set_count(0, kTurn - kPeriod);
    write(Msr::kGlobalCtrl, 1);
  }
  /// A sample, and a handler that does all it should.
  void sample() {
    count_more(kPeriod);
    unmask();
    write(Msr::kStatusReset, 1);
  }
  void throttle() {
    for (unsigned n = 0; n < kLimit; ++n) sample();
    ASSERT_EQ(delivered(), static_cast<int>(kLimit));
    ASSERT_EQ(state(0).get(pv::State::kThrottled), 0u);
    count_more(kPeriod);
  }
};

TEST_F(PvPerfRateLimit, HoldsBackWhatIsTooMuchUntilTheNextTick) {
  host.now += 300'000;
  throttle();
  EXPECT_EQ(delivered(), static_cast<int>(kLimit));
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 1u);
  EXPECT_EQ(status(), 1u) << "goes on";
  EXPECT_EQ(pv->due_ns(true), 5'001 * kMs) << "wakes a vCPU that sleeps";
  EXPECT_EQ(pv->statistics().pmis_throttled, 1u);
  host.now = 5'001 * kMs - 1;
  pv->time_passed();
  pv->before_entry();
  EXPECT_EQ(delivered(), static_cast<int>(kLimit));
  host.now = 5'001 * kMs;
  pv->time_passed();
  pv->before_entry();
  EXPECT_EQ(delivered(), static_cast<int>(kLimit) + 1);
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 0u);
  EXPECT_EQ(pv->due_ns(true), PvPerf::kNever);
}

TEST_F(PvPerfRateLimit, LeavesCountingAlone) {
  throttle();
  count_more(7 * kPeriod + 13);
  EXPECT_EQ(count(0), kTurn - kPeriod + 13);
}

TEST_F(PvPerfRateLimit, DeliversNothingThatTheGuestHasSeenMeanwhile) {
  throttle();
  write(Msr::kStatusReset, 1);
  pass(kMs);
  EXPECT_EQ(delivered(), static_cast<int>(kLimit));
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 0u);
  count_more(kPeriod);
  EXPECT_EQ(delivered(), static_cast<int>(kLimit) + 1);
}

TEST_F(PvPerfRateLimit, IsNothingToAnEventThatIsOff) {
  throttle();
  pv::Evtsel off = interrupting(kInstructions);
  off.set(pv::Evtsel::kEn, 0);
  select(0, off);
  EXPECT_EQ(state(0).raw, 0u);
  write(Msr::kStatusReset, 0);
  EXPECT_EQ(state(0).raw, 0u);
  pass(kMs);
  EXPECT_EQ(delivered(), static_cast<int>(kLimit) + 1) << "but what it has done is still to tell";
}

TEST_F(PvPerfRateLimit, BoundsWhatAGuestGetsByPollingToo) {
  throttle();
  for (int n = 0; n < 100; ++n) write(Msr::kStatusReset, 0);
  EXPECT_EQ(delivered(), static_cast<int>(kLimit));
}

TEST_F(PvPerfRateLimit, BeginsAnewWithEveryTick) {
  for (int tick = 0; tick < 5; ++tick) {
    for (unsigned n = 0; n < kLimit; ++n) sample();
    pass(kMs);
  }
  EXPECT_EQ(delivered(), static_cast<int>(5 * kLimit));
  EXPECT_EQ(pv->statistics().pmis_throttled, 0u);
}

TEST_F(PvPerfRateLimit, CountsNothingThatIsMasked) {
  for (unsigned n = 0; n < 3 * kLimit; ++n) {
    lvtpc = PmiOutcome::kMasked;
    count_more(kPeriod);
    write(Msr::kStatusReset, 1);
  }
  EXPECT_EQ(state(0).get(pv::State::kThrottled), 0u);
  unmask();
  count_more(kPeriod);
  EXPECT_EQ(delivered(), 1);
}

TEST_F(PvPerfRateLimit, OverflowsThatNobodyHeedsCostTheHostNothing) {
  count_more(kPeriod);
  count_more(kPeriod);
  EXPECT_EQ(perf.of(0)->attr.period, 0u);
  const int changes = perf.of(0)->period_changes;
  for (int n = 0; n < 1000; ++n) count_more(kPeriod + 1);
  EXPECT_EQ(perf.of(0)->period_changes, changes);
  EXPECT_EQ(pv->statistics().overflows, 2u);
  EXPECT_EQ(count(0), kTurn - kPeriod + 1000 % kPeriod);
  unmask();
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(perf.of(0)->attr.period, kPeriod) << "armed again";
  EXPECT_EQ(status(), 0u);
  count_more(kPeriod);
  EXPECT_EQ(status(), 1u);
  EXPECT_EQ(delivered(), 2);
}

TEST_F(PvPerfRateLimit, OverflowsAreWaitedForAgainOnceTheyAreHeeded) {
  count_more(kPeriod);
  count_more(kPeriod);
  ASSERT_EQ(perf.of(0)->attr.period, 0u);
  count(0);
  unmask();
  write(Msr::kStatusReset, 1);
  EXPECT_EQ(perf.of(0)->attr.period, kPeriod);
}

class PvPerfStorm : public PvPerfOnModelledPerf {};

TEST_F(PvPerfStorm, AtTheShortestPeriodForTenSecondsIsBounded) {
  constexpr std::uint64_t kNsOfAnInstruction = 10'000, kSeconds = 10;
  constexpr std::uint64_t kInstructionsInAll = kSeconds * 1'000 * kMs / kNsOfAnInstruction;
  select(0, interrupting(kInstructions));
  write(0, BankMsr::kPeriod, 1);
  set_count(0, kTurn - 1);
  select(1, kInstructions);
  write(Msr::kGlobalCtrl, 3);
  bool was_throttled = false;
  int handled = 0;
  for (std::uint64_t n = 0; n < kInstructionsInAll; ++n) {
    step();
    pass(kNsOfAnInstruction);
    was_throttled |= pv->state(0).get(pv::State::kThrottled) != 0;
    for (; handled < delivered(); ++handled) {
      unmask();
      write(Msr::kStatusReset, 1);
    }
  }
  constexpr std::uint64_t kTicks = kSeconds * 1'000;
  EXPECT_TRUE(was_throttled);
  EXPECT_LE(pv->statistics().pmis_delivered, 20 * (kTicks + 1));
  EXPECT_GE(pv->statistics().pmis_delivered, 20 * (kTicks - 1));
  // Each tick: those that interrupt, the one that is held back, the one that nobody heeds.
  EXPECT_LE(pv->statistics().overflows, 22 * (kTicks + 1));
  EXPECT_EQ(count(1), kInstructionsInAll);
  EXPECT_EQ(count(0), kTurn - 1);
}

// ---- Events that only the hypervisor counts -----------------------------------------------------

TEST_F(PvPerfOnFakePerf, SoftwareEventsCountWhatTheyAreToldAtThePrivilegesAskedFor) {
  pv::Evtsel user = pv_event(pv::Software::kExits), kernel = user;
  user.set(pv::Evtsel::kOs, 0);
  kernel.set(pv::Evtsel::kUsr, 0);
  select(0, user);
  select(1, kernel);
  select(2, pv_event(pv::Software::kStolenNs));
  EXPECT_FALSE(pv->counts(pv::Software::kExits));
  write(Msr::kGlobalCtrl, 7);
  EXPECT_TRUE(pv->counts(pv::Software::kExits));
  EXPECT_TRUE(pv->counts(pv::Software::kStolenNs));
  EXPECT_FALSE(pv->counts(pv::Software::kInterrupts));
  pv->count(pv::Software::kExits, 1, silicon::Privilege::kUser);
  pv->count(pv::Software::kExits, 2, silicon::Privilege::kKernel);
  pv->count(pv::Software::kInterrupts, 4, silicon::Privilege::kKernel);
  pv->count(pv::Software::kStolenNs, 8'000, silicon::Privilege::kKernel);
  EXPECT_EQ(count(0), 1u);
  EXPECT_EQ(count(1), 2u);
  EXPECT_EQ(count(2), 8'000u);
  EXPECT_EQ(pv->open_host_events(), 0u);
  EXPECT_EQ(state(0).raw, pv::State::kRunning.kMask);
  write(Msr::kGlobalCtrl, 4);
  EXPECT_FALSE(pv->counts(pv::Software::kExits));
  pv->count(pv::Software::kExits, 1, silicon::Privilege::kUser);
  EXPECT_EQ(count(0), 1u);
}

TEST_F(PvPerfOnFakePerf, SoftwareEventsOverflowAndReload) {
  select(3, interrupting(pv_event(pv::Software::kStolenNs)));
  write(3, BankMsr::kPeriod, 1'000);
  set_count(3, kTurn - 1'000);
  write(Msr::kGlobalCtrl, 1 << 3);
  pv->count(pv::Software::kStolenNs, 999, silicon::Privilege::kKernel);
  EXPECT_FALSE(pv->has_entry_work());
  const int requests = host.requests;
  pv->count(pv::Software::kStolenNs, 2'003, silicon::Privilege::kKernel);
  EXPECT_TRUE(pv->has_entry_work());
  EXPECT_GT(host.requests, requests) << "the guest does not go on without";
  pv->before_entry();
  EXPECT_EQ(delivered(), 1);
  EXPECT_EQ(status(), 1u << 3);
  EXPECT_EQ(count(3), kTurn - 1'000 + 2);
}

TEST_F(PvPerfOnFakePerf, AnEventThatBecomesOneOfSoftwareGivesItsCounterBack) {
  select(0, kInstructions);
  write(Msr::kGlobalCtrl, 1);
  EXPECT_EQ(perf.active_events(), 1u);
  select(0, pv_event(pv::Software::kExits));
  EXPECT_EQ(perf.active_events(), 0u);
  perf.count(5);
  pv->count(pv::Software::kExits, 3, silicon::Privilege::kUser);
  EXPECT_EQ(count(0), 3u);
  pass(1'000 * kMs);
  EXPECT_EQ(pv->open_host_events(), 0u);
  pv->count(pv::Software::kExits, 3, silicon::Privilege::kUser);
  EXPECT_EQ(count(0), 6u);
  select(0, kInstructions);
  EXPECT_FALSE(pv->counts(pv::Software::kExits));
  count_more(10);
  EXPECT_EQ(count(0), 16u);
}

}  // namespace
}  // namespace vpmu::virt::x86
