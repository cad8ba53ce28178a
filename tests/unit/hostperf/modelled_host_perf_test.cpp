// SPDX-License-Identifier: MIT
#include "vpmu/hostperf/modelled_host_perf.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "unit/hostperf/small_host.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::Privilege;
using silicon::RawEvent;

constexpr std::uint64_t kRefTscFixedOnly = 0x0300;

class ModelledHostPerfTest : public testing::Test {
 protected:
  struct Vcpu {
    silicon::RetireTotals totals;
    silicon::Deadlines deadlines{totals};
  };

  EventId open(EventAttr attr) {
    const auto event = perf.open(attr, Target::of(VcpuIndex{0}), handler);
    EXPECT_TRUE(event.has_value());
    return event.value_or(kNoEvent);
  }
  EventId start(EventAttr attr) {
    const EventId event = open(attr);
    perf.enable(event);
    return event;
  }
  /// `count` instructions of which each takes a cycle, and the boundary behind them.
  void retire(std::uint64_t count, Privilege privilege = Privilege::kUser,
              RawEvent raw = RawEvent::kInstructions) {
    vcpus[0].totals.add(raw, privilege, count);
    vcpus[0].totals.add(RawEvent::kCycles, privilege, count);
    vcpus[0].deadlines.fire_due();
  }
  std::uint64_t value(EventId event) { return perf.read(event).value().value; }

  Vcpu vcpus[2];
  const std::array<ModelledVcpu, 2> modelled{ModelledVcpu{&vcpus[0].totals, &vcpus[0].deadlines},
                                             ModelledVcpu{&vcpus[1].totals, &vcpus[1].deadlines}};
  const silicon::x86::CpuModel& model = *silicon::x86::find_cpu_model("icelake-server");
  Handler handler;
  ModelledHostPerf perf{model, modelled};
};

// ---- open ---------------------------------------------------------------------------------------

TEST_F(ModelledHostPerfTest, RefusesWhatItCannotCountWithTheReason) {
  struct Case {
    const char* what;
    EventAttr attr;
    Target target;
    OpenError error;
  };
  const Target vcpu = Target::of(VcpuIndex{0});
  const Case cases[] = {
      {"no such vCPU",
       {.config = kInstructions},
       Target::of(VcpuIndex{2}),
       OpenError::kNoSuchTarget},
      {"no such host CPU",
       {.config = kInstructions},
       Target::of(HostCpu{2}),
       OpenError::kNoSuchTarget},
      {"unknown event", {.config = 0x802e}, vcpu, OpenError::kNoSuchEvent},
      {"edge without conditions",
       {.config = kInstructions | 1 << 18},
       vcpu,
       OpenError::kNoSuchEvent},
      {"counter mask without conditions",
       {.config = kInstructions | 1 << 24},
       vcpu,
       OpenError::kNoSuchEvent},
      {"the enable bit", {.config = kInstructions | 1 << 22}, vcpu, OpenError::kNoSuchEvent},
      {"IN_TX without TSX", {.config = kInstructions | 1ULL << 32}, vcpu, OpenError::kNoSuchEvent},
  };
  for (const Case& expected : cases) {
    const auto event = perf.open(expected.attr, expected.target, handler);
    ASSERT_FALSE(event.has_value()) << expected.what;
    EXPECT_EQ(event.error(), expected.error) << expected.what;
  }
}

TEST_F(ModelledHostPerfTest, HasAFixedPoolOfEventsThatCloseGivesBack) {
  std::vector<EventId> events;
  for (int n = 0; n < ModelledHostPerf::kEventsPerVcpu; ++n) {
    events.push_back(open({.config = kInstructions}));
  }
  const Target target = Target::of(VcpuIndex{0});
  EXPECT_EQ(perf.open({.config = kInstructions}, target, handler).error(), OpenError::kNoSpace);
  EXPECT_TRUE(perf.open({.config = kInstructions}, Target::of(VcpuIndex{1}), handler).has_value());
  perf.close(events[7]);
  EXPECT_EQ(perf.open({.config = kInstructions}, target, handler).value(), events[7]);
}

// ---- counting -----------------------------------------------------------------------------------

TEST_F(ModelledHostPerfTest, CountsOnlyWhileEnabled) {
  const EventId event = open({.config = kInstructions});
  EXPECT_EQ(perf.state(event), EventState::kOff);
  EXPECT_EQ(perf.cpu(event), kNoHostCpu);
  retire(5);
  perf.enable(event);
  EXPECT_EQ(perf.state(event), EventState::kActive);
  EXPECT_EQ(perf.cpu(event), HostCpu{0});
  retire(7);
  EXPECT_EQ(value(event), 7u);
  perf.disable(event);
  retire(11);
  EXPECT_EQ(value(event), 7u);
  perf.enable(event);
  retire(1);
  EXPECT_EQ(value(event), 8u);
}

TEST_F(ModelledHostPerfTest, PauseKeepsTheCounterButCountsNothing) {
  const EventId event = start({.config = kInstructions, .period = 10});
  retire(4);
  perf.pause(event);
  retire(100);
  EXPECT_EQ(perf.state(event), EventState::kActive);
  EXPECT_EQ(value(event), 4u);
  perf.resume(event);
  retire(5);
  EXPECT_EQ(value(event), 9u);
  EXPECT_TRUE(handler.calls.empty());
  retire(1);
  EXPECT_EQ(handler.calls.size(), 1u);
}

TEST_F(ModelledHostPerfTest, CountsThePrivilegesThatAreNotExcluded) {
  struct Case {
    EventAttr attr;
    std::uint64_t expected;
  };
  const Case cases[] = {
      {{.config = kInstructions}, 11},
      {{.config = kInstructions, .exclude_user = true}, 10},
      {{.config = kInstructions, .exclude_kernel = true}, 1},
      {{.config = kInstructions, .exclude_user = true, .exclude_kernel = true}, 0},
      {{.config = kInstructions, .exclude_host = true}, 11},
      {{.config = kInstructions, .exclude_guest = true}, 0},
  };
  for (const Case& expected : cases) {
    const EventId event = start(expected.attr);
    retire(1, Privilege::kUser);
    retire(10, Privilege::kKernel);
    EXPECT_EQ(value(event), expected.expected);
    perf.close(event);
  }
}

TEST_F(ModelledHostPerfTest, DemandsWhatIsOnACounter) {
  constexpr std::uint64_t kMispredicted = 0x00c5;
  const auto& totals = vcpus[0].totals;
  const EventId event = open({.config = kMispredicted});
  EXPECT_FALSE(totals.demanded(RawEvent::kMispredictedBranches));
  perf.enable(event);
  EXPECT_TRUE(totals.demanded(RawEvent::kMispredictedBranches));
  perf.disable(event);
  EXPECT_FALSE(totals.demanded(RawEvent::kMispredictedBranches));
  perf.enable(event);
  perf.close(event);
  EXPECT_FALSE(totals.demanded(RawEvent::kMispredictedBranches));
}

TEST_F(ModelledHostPerfTest, TimesAreTheTargetsUnhaltedCycles) {
  const EventId event = open({.config = kInstructions});
  retire(model.hz);  // a second before it is enabled
  perf.enable(event);
  retire(3 * model.hz);
  const EventCount count = perf.read(event).value();
  EXPECT_EQ(count.time_enabled_ns, 3'000'000'000u);
  EXPECT_EQ(count.time_running_ns, 3'000'000'000u);
}

// ---- overflow -----------------------------------------------------------------------------------

TEST_F(ModelledHostPerfTest, OverflowsAtEveryPeriodAndNotBefore) {
  const EventId event = start({.config = kInstructions, .period = 10, .cookie = 77});
  retire(9);
  EXPECT_TRUE(handler.calls.empty());
  retire(1);
  ASSERT_EQ(handler.calls.size(), 1u);
  EXPECT_EQ(handler.calls[0], (std::pair<EventId, std::uint64_t>{event, 77}));
  retire(9);
  EXPECT_EQ(handler.calls.size(), 1u);
  retire(1);
  EXPECT_EQ(handler.calls.size(), 2u);
  EXPECT_EQ(value(event), 20u);
}

TEST_F(ModelledHostPerfTest, InstructionThatCountsPastThePeriodDoesNotDelayTheNextOverflow) {
  start({.config = kInstructions, .period = 10});
  retire(13);
  EXPECT_EQ(handler.calls.size(), 1u);
  retire(6);
  EXPECT_EQ(handler.calls.size(), 1u);
  retire(1);
  EXPECT_EQ(handler.calls.size(), 2u);
  retire(35);
  EXPECT_EQ(handler.calls.size(), 3u) << "periods within one instruction coalesce";
  retire(5);
  EXPECT_EQ(handler.calls.size(), 4u);
}

TEST_F(ModelledHostPerfTest, SetPeriodCountsFromNow) {
  const EventId event = start({.config = kInstructions, .period = 10});
  retire(9);
  perf.set_period(event, 5);
  retire(4);
  EXPECT_TRUE(handler.calls.empty());
  retire(1);
  EXPECT_EQ(handler.calls.size(), 1u);
  perf.set_period(event, 0);
  retire(1000);
  EXPECT_EQ(handler.calls.size(), 1u);
  EXPECT_EQ(value(event), 1014u);
}

TEST_F(ModelledHostPerfTest, WhatIsLeftOfAPeriodSurvivesADisable) {
  const EventId event = start({.config = kInstructions, .period = 10});
  retire(6);
  perf.disable(event);
  retire(50);
  perf.enable(event);
  retire(3);
  EXPECT_TRUE(handler.calls.empty());
  retire(1);
  EXPECT_EQ(handler.calls.size(), 1u);
}

TEST_F(ModelledHostPerfTest, HandlerMayChangeOrCloseItsEvent) {
  const EventId event = start({.config = kInstructions, .period = 10});
  handler.reaction = [this](EventId overflowed) { perf.set_period(overflowed, 3); };
  retire(10);
  retire(3);
  EXPECT_EQ(handler.calls.size(), 2u);
  handler.reaction = [this](EventId overflowed) { perf.close(overflowed); };
  retire(3);
  EXPECT_EQ(handler.calls.size(), 3u);
  retire(100);
  EXPECT_EQ(handler.calls.size(), 3u);
  EXPECT_EQ(open({.config = kInstructions}), event);
}

TEST_F(ModelledHostPerfTest, LongestPeriodNeverOverflows) {
  start({.config = kInstructions, .period = ~0ULL});
  retire(1ULL << 40);
  EXPECT_TRUE(handler.calls.empty());
}

// ---- scheduling ---------------------------------------------------------------------------------

TEST_F(ModelledHostPerfTest, PinnedEventThatDoesNotFitIsInError) {
  for (int n = 0; n < model.pmu.gp_counters; ++n) start({.config = kBranches, .pinned = true});
  const EventId surplus = start({.config = kBranches, .pinned = true});
  EXPECT_EQ(perf.state(surplus), EventState::kError);
  EXPECT_EQ(perf.cpu(surplus), kNoHostCpu);
  const EventId fixed = start({.config = kInstructions, .pinned = true});
  EXPECT_EQ(perf.state(fixed), EventState::kActive) << "fixed counter 0 is free";
}

TEST_F(ModelledHostPerfTest, PinnedEventInErrorFitsWhenEnabledAgainWithRoom) {
  std::vector<EventId> events;
  for (int n = 0; n < model.pmu.gp_counters; ++n) {
    events.push_back(start({.config = kBranches, .pinned = true}));
  }
  const EventId surplus = start({.config = kBranches, .pinned = true});
  perf.disable(events[0]);
  EXPECT_EQ(perf.state(surplus), EventState::kError);
  perf.enable(surplus);
  EXPECT_EQ(perf.state(surplus), EventState::kActive);
}

TEST_F(ModelledHostPerfTest, FlexibleEventWaitsUntilACounterIsGivenBack) {
  std::vector<EventId> events;
  for (int n = 0; n < model.pmu.gp_counters; ++n) events.push_back(start({.config = kBranches}));
  const EventId waiting = start({.config = kBranches});
  EXPECT_EQ(perf.state(waiting), EventState::kInactive);
  retire(10, Privilege::kUser, RawEvent::kBranches);
  EXPECT_EQ(value(waiting), 0u);
  perf.disable(events[3]);
  EXPECT_EQ(perf.state(waiting), EventState::kActive);
  retire(4, Privilege::kUser, RawEvent::kBranches);
  EXPECT_EQ(value(waiting), 4u);
  const EventCount count = perf.read(waiting).value();
  EXPECT_EQ(count.time_enabled_ns, 14'000'000'000 / model.hz);
  EXPECT_EQ(count.time_running_ns, 4'000'000'000 / model.hz);
}

TEST_F(ModelledHostPerfTest, PinnedEventTakesTheCounterOfTheYoungestFlexibleOne) {
  std::vector<EventId> events;
  for (int n = 0; n < model.pmu.gp_counters; ++n) events.push_back(start({.config = kBranches}));
  retire(6, Privilege::kUser, RawEvent::kBranches);
  const EventId pinned = start({.config = kBranches, .pinned = true});
  EXPECT_EQ(perf.state(pinned), EventState::kActive);
  EXPECT_EQ(perf.state(events.back()), EventState::kInactive);
  EXPECT_EQ(value(events.back()), 6u) << "what it counted is kept";
  EXPECT_EQ(perf.state(events.front()), EventState::kActive);
}

TEST_F(ModelledHostPerfTest, FixedOnlyEventHasOneCounter) {
  const EventId first = start({.config = kRefTscFixedOnly, .pinned = true});
  EXPECT_EQ(perf.state(first), EventState::kActive);
  EXPECT_EQ(perf.state(start({.config = kRefTscFixedOnly, .pinned = true})), EventState::kError);
}

TEST_F(ModelledHostPerfTest, VcpusHavePmusOfTheirOwn) {
  for (int n = 0; n < model.pmu.gp_counters; ++n) start({.config = kBranches, .pinned = true});
  const EventId other =
      perf.open({.config = kBranches, .pinned = true}, Target::of(VcpuIndex{1}), handler).value();
  perf.enable(other);
  EXPECT_EQ(perf.state(other), EventState::kActive);
  EXPECT_EQ(perf.cpu(other), HostCpu{1});
  vcpus[1].totals.add(RawEvent::kBranches, Privilege::kKernel, 5);
  EXPECT_EQ(value(other), 5u);
}

}  // namespace
}  // namespace vpmu::hostperf
