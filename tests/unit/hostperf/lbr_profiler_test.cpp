// SPDX-License-Identifier: MIT
//
// What events of the host see of the branches that guests take.
#include "unit/hostperf/small_lbr.hpp"

namespace vpmu::hostperf {
namespace {

constexpr std::uint32_t kCallStackOfUser = kBranchCallStack | kBranchUser;

TEST(LbrProfiler, SeesTheNewestBranchFirst) {
  SmallLbrHost host{1, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_EQ(host.seen(profiler), Addresses{});
  host.branch(0, 0x1000);
  host.branch(0, 0x2000);
  EXPECT_EQ(host.seen(profiler), (Addresses{0x2000, 0x1000}));
  for (unsigned n = 3; n <= 9; ++n) host.branch(0, n << 12);
  EXPECT_EQ(host.seen(profiler), (Addresses{0x9000, 0x8000, 0x7000, 0x6000}));
}

TEST(LbrProfiler, SeesWhatTheFormatSays) {
  SmallLbrHost host{1, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  host.unit(0).record({.from = 0x10, .to = 0x20, .cycle = 7, .mispredicted = true});
  std::array<LbrStack::Decoded, 1> into{};
  ASSERT_EQ(host.perf->branches(profiler, into), 1u);
  EXPECT_EQ(into[0].from, 0x10u);
  EXPECT_EQ(into[0].to, 0x20u);
  EXPECT_EQ(into[0].cycles, 7u);
  EXPECT_TRUE(into[0].mispredicted);
}

TEST(LbrProfiler, SeesAsManyAsThereIsRoomFor) {
  SmallLbrHost host{1, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  for (unsigned n = 1; n <= 3; ++n) host.branch(0, n << 12);
  std::array<LbrStack::Decoded, 2> into{};
  EXPECT_EQ(host.perf->branches(profiler, into), 2u);
  EXPECT_EQ(into[1].from, 0x2000u);
  EXPECT_EQ(host.perf->branches(profiler, {}), 0u);
}

TEST(LbrProfiler, SeesThemInItsOverflowHandler) {
  SmallLbrHost host{1, 1};
  Addresses in_handler;
  host.handler.reaction = [&](EventId event) { in_handler = host.seen(event); };
  EventAttr attr = branch_stack(kBranchAny, true);
  attr.period = 5;
  host.start(attr, cpu(0));
  host.branch(0, 0x1000);
  host.retire(0, 5);
  EXPECT_EQ(in_handler, Addresses{0x1000});
}

TEST(LbrProfiler, SeesNothingUnlessItIsActiveAndWantsGuests) {
  SmallLbrHost host{1, 1};
  EventAttr host_only = branch_stack(kBranchAny, true);
  host_only.exclude_guest = true;
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId excludes = host.start(host_only, cpu(0));
  const EventId counts = host.start({.config = kFixedOnly}, cpu(0));
  host.branch(0, 0x1000);
  EXPECT_EQ(host.seen(profiler), Addresses{0x1000});
  EXPECT_EQ(host.seen(excludes), Addresses{});
  EXPECT_EQ(host.seen(counts), Addresses{});
  host.perf->disable(profiler);
  EXPECT_EQ(host.seen(profiler), Addresses{});
}

TEST(LbrProfiler, DoesNotSeeWhatAGuestRecordsForItself) {
  SmallLbrHost host{1, 1};
  const EventId guest = host.start(kGuestLbr, task(0));
  host.branch(0, 0x1000);
  EXPECT_EQ(host.seen(guest), Addresses{}) << "a guest's event is not a profiler's";
}

TEST(LbrProfiler, SeesOnlyWhatWasRecordedWhileItWasActive) {
  SmallLbrHost host{1, 1};
  const EventId first = host.start(branch_stack(kBranchAny, true), cpu(0));
  host.branch(0, 0x1000);
  const EventId second = host.start(branch_stack(kBranchAny, true), cpu(0));
  EXPECT_EQ(host.seen(second), Addresses{});
  host.branch(0, 0x2000);
  EXPECT_EQ(host.seen(second), Addresses{0x2000});
  host.perf->disable(second);
  EXPECT_EQ(host.seen(first), Addresses{0x2000}) << "who stays keeps what it saw";
  host.branch(0, 0x3000);
  host.perf->enable(second);
  EXPECT_EQ(host.seen(second), Addresses{});
}

TEST(LbrProfiler, OfACpuSeesTheTaskThatIsOnIt) {
  SmallLbrHost host{2, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny, true), cpu(0));
  host.branch(0, 0x1000);
  host.on(1, 0);
  EXPECT_EQ(host.seen(profiler), Addresses{});
  host.branch(0, 0x2000);
  EXPECT_EQ(host.seen(profiler), Addresses{0x2000});
}

TEST(LbrProfiler, OfATaskNeverSeesAnothersBranches) {
  SmallLbrHost host{2, 1};
  const EventId of_cpu = host.start(branch_stack(kBranchAny, true), cpu(0));
  const EventId of_task = host.start(branch_stack(kBranchAny, true), task(1));
  host.branch(0, 0x1000);
  host.on(1, 0);
  EXPECT_EQ(host.perf->state(of_cpu), EventState::kActive);
  EXPECT_EQ(host.perf->state(of_task), EventState::kActive);
  EXPECT_EQ(host.seen(of_task), Addresses{});
}

// ---- Call stacks --------------------------------------------------------------------------------

TEST(LbrProfiler, KeepsATasksCallStackAcrossSwitches) {
  SmallLbrHost host{2, 2};
  const EventId first = host.start(branch_stack(kCallStackOfUser), task(0));
  const EventId second = host.start(branch_stack(kCallStackOfUser), task(1));
  host.call(0, 0x1000);
  host.call(0, 0x2000);
  host.on(1, 0);
  EXPECT_EQ(host.seen(second), Addresses{}) << "a stack of its own";
  host.call(0, 0x9000);
  host.on(0, 0);
  EXPECT_EQ(host.seen(first), (Addresses{0x2000, 0x1000}));
  host.branch(0, 0x2800, BranchType::kReturn);
  host.on(0, 1);
  EXPECT_EQ(host.seen(first), Addresses{0x1000}) << "on another CPU";
  host.on(1, 0);
  EXPECT_EQ(host.seen(second), Addresses{0x9000});
}

TEST(LbrProfiler, LosesOtherBranchesAtASwitch) {
  SmallLbrHost host{2, 1};
  const EventId profiler = host.start(branch_stack(kBranchAny), task(0));
  host.branch(0, 0x1000);
  host.on(1, 0);
  host.on(0, 0);
  EXPECT_EQ(host.perf->state(profiler), EventState::kActive);
  EXPECT_EQ(host.seen(profiler), Addresses{});
}

TEST(LbrProfiler, LosesTheCallStackToWhoeverTakesTheUnit) {
  SmallLbrHost host{1, 1};
  const EventId profiler = host.start(branch_stack(kCallStackOfUser), task(0));
  host.call(0, 0x1000);
  const EventId guest = host.start(kGuestLbr, task(0));
  EXPECT_EQ(host.perf->state(profiler), EventState::kInactive);
  EXPECT_EQ(recorded(kFourRecords, host.perf->lbr_state(guest)), Addresses{});
  host.perf->close(guest);
  EXPECT_EQ(host.perf->state(profiler), EventState::kActive);
  EXPECT_EQ(host.seen(profiler), Addresses{});
}

TEST(LbrProfiler, ACallStackEndsWithTheEventsThatWantIt) {
  SmallLbrHost host{2, 1};
  const EventId first = host.start(branch_stack(kCallStackOfUser), task(0));
  const EventId second = host.start(branch_stack(kCallStackOfUser), task(0));
  host.call(0, 0x1000);
  host.on(1, 0);
  host.perf->close(first);
  host.on(0, 0);
  EXPECT_EQ(host.seen(second), Addresses{0x1000}) << "one still wants it";
  host.on(1, 0);
  host.perf->disable(second);
  host.perf->enable(second);
  host.on(0, 0);
  EXPECT_EQ(host.seen(second), Addresses{}) << "it does not know what was called meanwhile";
}

TEST(LbrProfiler, ACallStackIsNotPutBackUnderAnotherFilter) {
  SmallLbrHost host{2, 1};
  const EventId user = host.start(branch_stack(kCallStackOfUser), task(0));
  host.call(0, 0x1000);
  host.on(1, 0);
  const EventId kernel = host.start(branch_stack(kBranchCallStack | kBranchKernel, true), task(0));
  host.on(0, 0);
  EXPECT_EQ(host.perf->state(kernel), EventState::kActive);
  EXPECT_EQ(host.perf->state(user), EventState::kInactive);
  EXPECT_EQ(host.seen(kernel), Addresses{});
}

TEST(LbrProfiler, OfACpuDoesNotSeeACallStackFromBeforeItsTime) {
  SmallLbrHost host{2, 1};
  host.start(branch_stack(kCallStackOfUser), task(0));
  host.call(0, 0x1000);
  const EventId of_cpu = host.start(branch_stack(kCallStackOfUser, true), cpu(0));
  EXPECT_EQ(host.seen(of_cpu), Addresses{});
  host.call(0, 0x2000);
  host.on(1, 0);
  EXPECT_EQ(host.seen(of_cpu), Addresses{});
  host.on(0, 0);
  EXPECT_EQ(host.seen(of_cpu), Addresses{}) << "nor one that was recorded before the switch";
}

}  // namespace
}  // namespace vpmu::hostperf
