// SPDX-License-Identifier: MIT
//
// Who gets the last branch records of a host CPU.
#include <numeric>

#include "unit/hostperf/small_lbr.hpp"

namespace vpmu::hostperf {
namespace {

constexpr EventState kActive = EventState::kActive;
constexpr EventState kInactive = EventState::kInactive;
constexpr EventState kError = EventState::kError;
constexpr HostCpu kCpu{0};

// ---- The guest's event --------------------------------------------------------------------------

TEST(LbrScheduling, AGuestsEventTakesNoCounterAndCountsNothing) {
  SmallLbrHost host{1, 1};
  std::vector<EventId> counting;
  for (const std::uint64_t config : {kBranches, kBranches, kFixedOnly}) {
    counting.push_back(host.start({.config = config, .pinned = true}, task(0)));
  }
  const EventId guest = host.start(kGuestLbr, task(0));
  host.retire(0, 10);
  for (const EventId event : counting) {
    EXPECT_EQ(host.perf->state(event), kActive);
    EXPECT_EQ(host.value(event), 10u);
  }
  EXPECT_EQ(host.perf->state(guest), kActive);
  EXPECT_EQ(host.perf->cpu(guest), kCpu);
  EXPECT_EQ(host.value(guest), 0u);
  EXPECT_EQ(host.running_ns(guest), 10u);
}

TEST(LbrScheduling, AGuestsEventNeverOverflows) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.perf->set_period(guest, 1);
  host.retire(0, 100);
  EXPECT_TRUE(host.handler.calls.empty());
}

TEST(LbrScheduling, ThereIsOneGuestsEventAtATimeOnAHostCpu) {
  SmallLbrHost host{2, 2};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId same_task = host.start(kGuestLbr, task(0));
  const EventId elsewhere = host.start(kGuestLbr, task(1));
  EXPECT_EQ(host.perf->state(first), kActive);
  EXPECT_EQ(host.perf->state(same_task), kError);
  EXPECT_EQ(host.perf->state(elsewhere), kActive) << "another CPU has its own";
  host.perf->disable(first);
  EXPECT_EQ(host.perf->state(same_task), kError) << "nobody asked again";
  host.perf->enable(same_task);
  EXPECT_EQ(host.perf->state(same_task), kActive);
}

TEST(LbrScheduling, AGuestsEventThatWaitsForItsTaskTakesNothing) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(kGuestLbr, task(0));
  const EventId second = host.start(kGuestLbr, task(1));
  EXPECT_EQ(host.perf->state(first), kActive);
  EXPECT_EQ(host.perf->state(second), kInactive);
  host.on(1, 0);
  EXPECT_EQ(host.perf->state(first), kInactive);
  EXPECT_EQ(host.perf->state(second), kActive);
}

TEST(LbrScheduling, WhoNeedsOnlyACounterDoesNotDisturbAGuest) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  for (const bool pinned : {true, false}) {
    for (const Target target : {cpu(0), task(0)}) {
      for (int n = 0; n < 3; ++n) host.start({.config = kBranches, .pinned = pinned}, target);
      EXPECT_EQ(host.perf->state(guest), kActive);
    }
  }
}

TEST(LbrScheduling, AnExclusiveEventOfTheCpuTakesTheUnitFromAGuest) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  const EventId exclusive =
      host.start({.config = kBranches, .pinned = true, .exclusive = true}, cpu(0));
  EXPECT_EQ(host.perf->state(exclusive), kActive);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.perf->close(exclusive);
  host.perf->enable(guest);
  const EventId too_late = host.start({.config = kBranches, .exclusive = true}, cpu(0));
  EXPECT_EQ(host.perf->state(guest), kActive);
  EXPECT_EQ(host.perf->state(too_late), kInactive) << "the guest's event is on the PMU";
}

TEST(LbrScheduling, AnEventLikeAGuestsOfTheCpuTakesTheUnit) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  EventAttr flexible = kGuestLbr;
  flexible.pinned = false;
  const EventId waits = host.start(flexible, cpu(0));
  EXPECT_EQ(host.perf->state(guest), kActive);
  EXPECT_EQ(host.perf->state(waits), kInactive);
  const EventId takes = host.start(kGuestLbr, cpu(0));
  EXPECT_EQ(host.perf->state(takes), kActive);
  EXPECT_EQ(host.perf->state(guest), kError);
}

// ---- Order --------------------------------------------------------------------------------------

TEST(LbrScheduling, TheUnitGoesByPriorityWhateverTheOrderOfEnabling) {
  struct Class {
    EventAttr attr;
    Target target;
  };
  // All have counters enough, and no two want the same.
  const std::array<Class, 4> by_priority{{{branch_stack(kBranchAny, true), cpu(0)},
                                          {kGuestLbr, task(0)},
                                          {branch_stack(kBranchCall), cpu(0)},
                                          {branch_stack(kBranchConditional), task(0)}}};
  std::array<std::size_t, 4> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    for (std::size_t winner = 0; winner < 4; ++winner) {
      SmallLbrHost host{1, 1};
      std::array<EventId, 4> events{};
      for (const std::size_t n : order) {
        if (n >= winner) events[n] = host.start(by_priority[n].attr, by_priority[n].target);
      }
      for (std::size_t n = winner; n < 4; ++n) {
        const EventState loser = by_priority[n].attr.pinned ? kError : kInactive;
        EXPECT_EQ(host.perf->state(events[n]), n == winner ? kActive : loser) << n << winner;
      }
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST(LbrScheduling, APinnedEventOfTheCpuTakesTheUnitUntilTheGuestAsksAgain) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_EQ(host.perf->state(profiler), kActive);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kError) << "still taken";
  host.perf->close(profiler);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kActive);
}

TEST(LbrScheduling, AFlexibleEventOfTheCpuWaitsUntilTheGuestLetsTheUnitGo) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  const EventId profiler = host.start(branch_stack(kBranchAny), cpu(0));
  EXPECT_EQ(host.perf->state(profiler), kInactive);
  host.off(0);
  EXPECT_EQ(host.perf->state(profiler), kActive);
  host.on(0, 0);
  EXPECT_EQ(host.perf->state(guest), kActive) << "pinned before flexible";
  EXPECT_EQ(host.perf->state(profiler), kInactive);
  host.perf->close(guest);
  EXPECT_EQ(host.perf->state(profiler), kActive);
}

TEST(LbrScheduling, AVcpuThatComesToATakenUnitLosesItsEvent) {
  SmallLbrHost host{1, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.start(branch_stack(kBranchAny, true), cpu(1));
  EXPECT_EQ(host.perf->state(guest), kActive);
  host.on(0, 1);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.on(0, 0);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kActive);
}

// ---- Events of the host -------------------------------------------------------------------------

TEST(LbrScheduling, EventsThatWantTheSameBranchesShareTheUnit) {
  SmallLbrHost host{1, 1};
  const EventId of_cpu = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId of_task =
      host.start(branch_stack(kBranchAny | kBranchUser | kBranchKernel), task(0));
  EXPECT_EQ(host.perf->state(of_cpu), kActive);
  EXPECT_EQ(host.perf->state(of_task), kActive) << "both privileges are asked for by neither";
  EventAttr other = branch_stack(kBranchAny | kBranchUser, true);
  other.config = kFixedOnly;
  const EventId wants_other = host.start(other, task(0));
  EXPECT_EQ(host.perf->state(wants_other), kError);
  host.perf->disable(of_cpu);
  host.perf->enable(wants_other);
  EXPECT_EQ(host.perf->state(wants_other), kActive) << "pinned before flexible";
  EXPECT_EQ(host.perf->state(of_task), kInactive);
}

TEST(LbrScheduling, AGuestsEventWaitsUntilTheLastThatSharesIsGone) {
  SmallLbrHost host{1, 1};
  const EventId first = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId second = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId guest = host.start(kGuestLbr, task(0));
  host.perf->disable(first);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kError);
  host.perf->disable(second);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kActive);
}

TEST(LbrScheduling, ABranchStackEventWithoutACounterDoesNotTakeTheUnit) {
  SmallLbrHost host{1, 1};
  for (int n = 0; n < 2; ++n) host.start({.config = kBranches, .pinned = true}, cpu(0));
  const EventId no_counter = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId guest = host.start(kGuestLbr, task(0));
  EXPECT_EQ(host.perf->state(no_counter), kError);
  EXPECT_EQ(host.perf->state(guest), kActive);
}

TEST(LbrScheduling, ABranchStackEventWithoutTheUnitDoesNotTakeACounter) {
  SmallLbrHost host{1, 1};
  host.start(kGuestLbr, task(0));
  for (int n = 0; n < 3; ++n) host.start(branch_stack(kBranchAny), cpu(0));
  for (int n = 0; n < 2; ++n) {
    EXPECT_EQ(host.perf->state(host.start({.config = kBranches}, task(0))), kActive);
  }
}

TEST(LbrScheduling, FlexibleEventsThatWantDifferentBranchesTakeTurns) {
  SmallLbrHost host{1, 1};
  const EventId jumps = host.start(branch_stack(kBranchConditional), cpu(0));
  const EventId calls = host.start(branch_stack(kBranchCall), cpu(0));
  for (int turn = 0; turn < 10; ++turn) {
    EXPECT_NE(host.perf->state(jumps), host.perf->state(calls));
    host.retire(0, 1'000);
    host.perf->tick(kCpu);
  }
  EXPECT_EQ(host.running_ns(jumps), 5'000u);
  EXPECT_EQ(host.running_ns(calls), 5'000u);
}

TEST(LbrScheduling, AFlexibleGuestsEventTakesTurnsWithAFlexibleProfiler) {
  SmallLbrHost host{1, 1};
  EventAttr flexible = kGuestLbr;
  flexible.pinned = false;
  const EventId guest = host.start(flexible, task(0));
  const EventId profiler = host.start(branch_stack(kBranchAny), task(0));
  Addresses expected;
  for (std::uint64_t turn = 1; turn <= 4; ++turn) {
    const bool guests = host.perf->state(guest) == kActive;
    EXPECT_NE(guests, host.perf->state(profiler) == kActive);
    host.branch(0, turn << 16);
    if (guests) expected.insert(expected.begin(), turn << 16);
    EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(guest)), expected);
    host.retire(0, 1'000);
    host.perf->tick(kCpu);
  }
  EXPECT_EQ(expected.size(), 2u);
}

TEST(LbrScheduling, TheUnitIsProgrammedForTheEventsThatHaveIt) {
  constexpr MsrIndex kSelect = silicon::x86::msr::MSR_LBR_SELECT;
  SmallLbrHost host{1, 1};
  const EventId any = host.start(branch_stack(kBranchAny | kBranchUser, true), cpu(0));
  EXPECT_EQ(host.unit(0).read(kSelect), 0x001u);
  host.perf->close(any);
  host.start(branch_stack(kBranchCallStack | kBranchUser, true), task(0));
  EXPECT_EQ(host.unit(0).read(kSelect), 0x3c5u);
  host.start(branch_stack(kBranchAny | kBranchKernel, true), cpu(0));
  EXPECT_EQ(host.unit(0).read(kSelect), 0x002u);
}

TEST(LbrScheduling, SaysWhetherBranchesAreToBeRecordedForTheHost) {
  SmallLbrHost host{1, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  EventAttr host_only = branch_stack(kBranchAny, true);
  host_only.exclude_guest = true;
  EXPECT_FALSE(host.perf->records_for_host(kCpu));
  const EventId without_guests = host.start(host_only, cpu(0));
  EXPECT_EQ(host.perf->state(guest), kError);
  EXPECT_FALSE(host.perf->records_for_host(kCpu)) << "a modelled host takes no branches itself";
  const EventId with_guests = host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_TRUE(host.perf->records_for_host(kCpu));
  EXPECT_FALSE(host.perf->records_for_host(HostCpu{1}));
  host.perf->disable(with_guests);
  EXPECT_FALSE(host.perf->records_for_host(kCpu));
  host.perf->enable(with_guests);
  host.perf->close(without_guests);
  EXPECT_TRUE(host.perf->records_for_host(kCpu));
  host.perf->close(with_guests);
  host.perf->enable(guest);
  EXPECT_FALSE(host.perf->records_for_host(kCpu));
}

// ---- What cannot be opened ----------------------------------------------------------------------

TEST(LbrScheduling, AGuestsEventHasOneForm) {
  SmallLbrHost host{1, 1};
  const auto refused = [&host](const EventAttr& attr) {
    return host.perf->open(attr, task(0), host.handler) ==
           tl::make_unexpected(OpenError::kNoSuchEvent);
  };
  EventAttr attr = kGuestLbr;
  EXPECT_FALSE(refused(attr));
  attr.period = 1;
  EXPECT_TRUE(refused(attr));
  attr = kGuestLbr;
  for (const std::uint32_t other :
       {std::uint32_t{0}, kBranchCallStack, kBranchUser, kBranchCallStack | kBranchKernel,
        kBranchCallStack | kBranchUser | kBranchKernel, kBranchAny | kBranchUser}) {
    attr.branch_type = other;
    EXPECT_TRUE(refused(attr)) << other;
  }
}

TEST(LbrScheduling, InvalidBranchStacksCannotBeOpened) {
  SmallLbrHost host{1, 1};
  for (const std::uint32_t invalid : {kBranchUser, kBranchCallStack | kBranchAny,
                                      kBranchCallStack | kBranchAnyReturn, 1u << 20}) {
    EXPECT_EQ(host.perf->open(branch_stack(invalid), cpu(0), host.handler),
              tl::make_unexpected(OpenError::kNoSuchEvent));
  }
}

TEST(LbrScheduling, ACpuWithoutLastBranchRecordsOffersNone) {
  SmallHost host{1, 1, 1'000, small_model(LbrModel{})};
  EXPECT_EQ(host.perf->lbr(), nullptr);
  EXPECT_EQ(host.perf->lbr_unit(kCpu), nullptr);
  EXPECT_FALSE(host.perf->records_for_host(kCpu));
  EXPECT_EQ(host.perf->lbr_switches(kCpu), LbrSwitches{});
  for (const EventAttr& attr : {kGuestLbr, branch_stack(kBranchAny)}) {
    EXPECT_EQ(host.perf->open(attr, task(0), host.handler),
              tl::make_unexpected(OpenError::kNoSuchEvent));
  }
}

TEST(LbrScheduling, ACpuThatCannotKeepACallStackHasNoneForGuests) {
  LbrModel without_call_stack = kFourRecords;
  without_call_stack.call_stack = false;
  SmallHost host{1, 1, 1'000, small_model(without_call_stack)};
  EXPECT_EQ(host.perf->lbr(), nullptr);
  EXPECT_EQ(host.perf->open(kGuestLbr, task(0), host.handler),
            tl::make_unexpected(OpenError::kNoSuchEvent));
  EXPECT_EQ(host.perf->state(host.start(branch_stack(kBranchAny), cpu(0))), kActive);
}

// ---- Tracing ------------------------------------------------------------------------------------

TEST(LbrScheduling, WhileSomethingTracesNoEventThatWantsTheUnitCanBeOpened) {
  SmallLbrHost host{1, 2};
  host.perf->use_lbr_for_trace(HostCpu{1}, true);
  for (const EventAttr& attr : {kGuestLbr, branch_stack(kBranchAny)}) {
    for (const Target target : {task(0), cpu(0), cpu(1)}) {
      EXPECT_EQ(host.perf->open(attr, target, host.handler), tl::make_unexpected(OpenError::kBusy));
    }
  }
  EXPECT_EQ(host.perf->open({.config = kGuestLbrEvent}, task(0), host.handler),
            tl::make_unexpected(OpenError::kNoSuchEvent))
      << "what is wrong is said first";
  host.open({.config = kBranches}, cpu(1));
  host.perf->use_lbr_for_trace(HostCpu{1}, false);
  EXPECT_EQ(host.perf->state(host.start(kGuestLbr, task(0))), kActive);
}

TEST(LbrScheduling, TracingTakesTheUnitOfThatCpu) {
  SmallLbrHost host{2, 2};
  const EventId guest = host.start(kGuestLbr, task(0));
  const EventId profiler = host.start(branch_stack(kBranchAny), cpu(1));
  for (const HostCpu traced : {kCpu, HostCpu{1}}) host.perf->use_lbr_for_trace(traced, true);
  EXPECT_EQ(host.perf->state(guest), kError);
  EXPECT_EQ(host.perf->state(profiler), kInactive);
  EXPECT_FALSE(host.perf->records_for_host(HostCpu{1}));
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kError);
  for (const HostCpu traced : {kCpu, HostCpu{1}}) host.perf->use_lbr_for_trace(traced, false);
  EXPECT_EQ(host.perf->state(guest), kError) << "nobody asked again";
  EXPECT_EQ(host.perf->state(profiler), kActive);
  host.perf->enable(guest);
  EXPECT_EQ(host.perf->state(guest), kActive);
}

}  // namespace
}  // namespace vpmu::hostperf
