// SPDX-License-Identifier: MIT
//
// Who gets the counters of a host CPU, and for how long.
#include <algorithm>
#include <numeric>

#include "unit/hostperf/small_host.hpp"

namespace vpmu::hostperf {
namespace {

using silicon::Privilege;
using silicon::RawEvent;

constexpr VcpuIndex kFirst{0};
constexpr VcpuIndex kSecond{1};
constexpr HostCpu kCpu{0};

TEST(HostCpus, KnowWhoIsOnThem) {
  constexpr HostCpu kOther{1};
  SmallHost host{3, 2};
  EXPECT_EQ(host.perf->vcpu_on(kCpu), kFirst);
  EXPECT_EQ(host.perf->vcpu_on(kOther), kSecond);
  host.perf->switch_in(VcpuIndex{2}, kCpu);
  EXPECT_EQ(host.perf->vcpu_on(kCpu), VcpuIndex{2});
  host.perf->switch_out(kSecond);
  EXPECT_EQ(host.perf->vcpu_on(kOther), std::nullopt);
}

// ---- Order --------------------------------------------------------------------------------------

TEST(HostCpus, GiveCountersByPriorityWhateverTheOrderOfEnabling) {
  struct Class {
    Target target;
    bool pinned;
  };
  const std::array<Class, 4> by_priority{
      {{cpu(0), true}, {task(0), true}, {cpu(0), false}, {task(0), false}}};
  std::array<std::size_t, 4> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    SmallHost host{1, 1};
    std::array<EventId, 4> events{};
    for (const std::size_t n : order) {
      events[n] =
          host.start({.config = kBranches, .pinned = by_priority[n].pinned}, by_priority[n].target);
    }
    for (std::size_t n = 0; n < 4; ++n) {
      const bool fits = n < 2;
      const EventState expected = fits                    ? EventState::kActive
                                  : by_priority[n].pinned ? EventState::kError
                                                          : EventState::kInactive;
      EXPECT_EQ(host.perf->state(events[n]), expected) << n;
      EXPECT_EQ(host.perf->cpu(events[n]), fits ? kCpu : kNoHostCpu);
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST(HostCpus, PinnedEventsOfTheCpuPutThoseOfTheTaskIntoError) {
  SmallHost host{1, 1};
  const EventId first = host.start({.config = kBranches, .pinned = true}, task(0));
  const EventId second = host.start({.config = kBranches, .pinned = true}, task(0));
  host.retire(0, 5);
  const EventId watchdog = host.start({.config = kBranches, .pinned = true}, cpu(0));
  EXPECT_EQ(host.perf->state(watchdog), EventState::kActive);
  EXPECT_EQ(host.perf->state(first), EventState::kActive);
  EXPECT_EQ(host.perf->state(second), EventState::kError);
  host.retire(0, 100);
  EXPECT_EQ(host.value(second), 5u) << "what it had counted is kept";
  EXPECT_EQ(host.enabled_ns(second), 5u) << "in error no time passes";

  host.perf->close(watchdog);
  EXPECT_EQ(host.perf->state(second), EventState::kError) << "nobody asked again";
  host.perf->enable(second);
  EXPECT_EQ(host.perf->state(second), EventState::kActive);
  host.retire(0, 3);
  EXPECT_EQ(host.value(second), 8u);
}

TEST(HostCpus, AmongEqualsTheOneEnabledFirstComesFirst) {
  SmallHost host{1, 1};
  const EventId opened_first = host.open({.config = kBranches, .pinned = true}, task(0));
  host.start({.config = kBranches, .pinned = true}, task(0));
  host.start({.config = kBranches, .pinned = true}, task(0));
  host.perf->enable(opened_first);
  EXPECT_EQ(host.perf->state(opened_first), EventState::kError);
}

TEST(HostCpus, FlexibleEventsOfTheTaskWaitBehindThoseOfTheCpu) {
  SmallHost host{1, 1};
  const EventId task_first = host.start({.config = kBranches}, task(0));
  const EventId task_second = host.start({.config = kBranches}, task(0));
  const EventId of_cpu = host.start({.config = kBranches}, cpu(0));
  EXPECT_EQ(host.perf->state(of_cpu), EventState::kActive);
  EXPECT_EQ(host.perf->state(task_first), EventState::kActive);
  EXPECT_EQ(host.perf->state(task_second), EventState::kInactive);
  host.perf->disable(of_cpu);
  EXPECT_EQ(host.perf->state(task_second), EventState::kActive);
}

TEST(HostCpus, ConstrainedEventsMoveOthersToOtherCounters) {
  SmallHost host{1, 1};
  // Any assignment must give loads counter 0 and stores counter 1.
  const EventId anywhere = host.start({.config = kInstructions, .pinned = true}, task(0));
  const EventId loads = host.start({.config = kLoads, .pinned = true}, task(0));
  const EventId stores = host.start({.config = kStores, .pinned = true}, task(0));
  for (const EventId event : {anywhere, loads, stores}) {
    EXPECT_EQ(host.perf->state(event), EventState::kActive);
  }
  EXPECT_EQ(host.perf->state(host.start({.config = kLoads, .pinned = true}, task(0))),
            EventState::kError);
}

TEST(HostCpus, EventsThatNoCounterCanCountCannotBeOpened) {
  SmallHost host{1, 1};
  EXPECT_EQ(host.perf->open({.config = 0x83d0}, task(0), host.handler).error(),
            OpenError::kNoSuchEvent);
}

TEST(HostCpus, HavePoolsOfTheirOwn) {
  SmallHost host{1, 1};
  for (int n = 0; n < ModelledHostPerf::kEventsPerHostCpu; ++n) {
    host.open({.config = kBranches}, cpu(0));
  }
  EXPECT_EQ(host.perf->open({.config = kBranches}, cpu(0), host.handler).error(),
            OpenError::kNoSpace);
  host.open({.config = kBranches}, task(0));
}

// ---- Exclusive events ---------------------------------------------------------------------------

TEST(HostCpus, ExclusiveEventsAreAloneOnThePmu) {
  SmallHost host{1, 1};
  const EventId exclusive =
      host.start({.config = kBranches, .pinned = true, .exclusive = true}, task(0));
  EXPECT_EQ(host.perf->state(exclusive), EventState::kActive);
  const EventId flexible = host.start({.config = kInstructions}, task(0));
  EXPECT_EQ(host.perf->state(flexible), EventState::kInactive) << "though counters are free";
  const EventId pinned = host.start({.config = kInstructions, .pinned = true}, task(0));
  EXPECT_EQ(host.perf->state(pinned), EventState::kError);
  host.perf->disable(exclusive);
  EXPECT_EQ(host.perf->state(flexible), EventState::kActive);
  host.perf->enable(exclusive);
  EXPECT_EQ(host.perf->state(exclusive), EventState::kActive) << "pinned before flexible";
  EXPECT_EQ(host.perf->state(flexible), EventState::kInactive);
}

TEST(HostCpus, ExclusiveFlexibleEventsTakeTurnsWithOthers) {
  SmallHost host{1, 1};
  const EventId exclusive = host.start({.config = kBranches, .exclusive = true}, task(0));
  const EventId other = host.start({.config = kInstructions}, task(0));
  for (int turn = 0; turn < 10; ++turn) {
    EXPECT_NE(host.perf->state(exclusive), host.perf->state(other));
    host.retire(0, 1'000);
    host.perf->tick(kCpu);
  }
  EXPECT_EQ(host.running_ns(exclusive), 5'000u);
  EXPECT_EQ(host.running_ns(other), 5'000u);
}

// ---- Rotation -----------------------------------------------------------------------------------

TEST(HostCpus, FlexibleEventsTakeTurnsAndTheirTimesSayHowLong) {
  for (const Target target : {task(0), cpu(0)}) {
    SmallHost host{1, 1};
    std::vector<EventId> events;
    for (int n = 0; n < 5; ++n) events.push_back(host.start({.config = kBranches}, target));
    // Two counters, five events: in five intervals each has two.
    for (int interval = 0; interval < 50; ++interval) {
      host.retire(0, 1'000);
      host.perf->tick(kCpu);
    }
    for (const EventId event : events) {
      const EventCount count = host.perf->read(event).value();
      EXPECT_EQ(count.time_enabled_ns, 50'000u);
      EXPECT_EQ(count.time_running_ns, 20'000u);
      EXPECT_EQ(count.value, 20'000u);
      EXPECT_EQ(count.value * count.time_enabled_ns / count.time_running_ns, 50'000u);
    }
  }
}

TEST(HostCpus, RotateOnceForEachIntervalInWhichThereIsATick) {
  SmallHost host{1, 1};
  std::vector<EventId> events;
  for (int n = 0; n < 3; ++n) events.push_back(host.start({.config = kBranches}, task(0)));
  const auto waiting = [&] {
    const auto found = std::ranges::find(events, EventState::kInactive,
                                         [&](EventId event) { return host.perf->state(event); });
    return found - events.begin();
  };
  EXPECT_EQ(waiting(), 2);
  host.retire(0, 999);
  host.perf->tick(kCpu);
  EXPECT_EQ(waiting(), 2) << "the interval is not over";
  host.retire(0, 1);
  host.perf->tick(kCpu);
  EXPECT_EQ(waiting(), 0);
  host.perf->tick(kCpu);
  EXPECT_EQ(waiting(), 0) << "once an interval";
  host.retire(0, 10'000);
  host.perf->tick(kCpu);
  EXPECT_EQ(waiting(), 1) << "once, however many have passed";
}

TEST(HostCpus, DoNotRotateWhatFits) {
  SmallHost host{1, 1};
  const EventId first = host.start({.config = kBranches}, task(0));
  const EventId second = host.start({.config = kBranches}, task(0));
  for (int n = 0; n < 10; ++n) {
    host.retire(0, 1'000);
    host.perf->tick(kCpu);
  }
  const EventId third = host.start({.config = kBranches}, task(0));
  EXPECT_EQ(host.perf->state(first), EventState::kActive);
  EXPECT_EQ(host.perf->state(second), EventState::kActive);
  EXPECT_EQ(host.perf->state(third), EventState::kInactive);
}

TEST(HostCpus, RotationLeavesPinnedEventsAlone) {
  SmallHost host{1, 1};
  const EventId pinned = host.start({.config = kBranches, .pinned = true}, task(0));
  const EventId first = host.start({.config = kBranches}, task(0));
  const EventId second = host.start({.config = kBranches}, task(0));
  for (int n = 0; n < 10; ++n) {
    host.retire(0, 1'000);
    host.perf->tick(kCpu);
  }
  EXPECT_EQ(host.running_ns(pinned), 10'000u);
  EXPECT_EQ(host.running_ns(first), 5'000u);
  EXPECT_EQ(host.running_ns(second), 5'000u);
}

TEST(HostCpus, EveryTaskOfASharedCpuGetsItsRotation) {
  // Turns as long as an interval: at each tick another task is on the CPU.
  SmallHost host{2, 1};
  std::vector<EventId> events;
  for (const unsigned vcpu : {0u, 1u}) {
    for (int n = 0; n < 3; ++n) events.push_back(host.start({.config = kBranches}, task(vcpu)));
  }
  for (int round = 0; round < 30; ++round) {
    for (const VcpuIndex vcpu : {kFirst, kSecond}) {
      host.perf->switch_in(vcpu, kCpu);
      host.perf->tick(kCpu);
      host.retire(static_cast<unsigned>(vcpu), 1'000);
    }
  }
  for (const EventId event : events) {
    EXPECT_EQ(host.enabled_ns(event), 30'000u);
    EXPECT_EQ(host.running_ns(event), 20'000u);
  }
}

// ---- Tasks that come and go ---------------------------------------------------------------------

TEST(HostCpus, EventsOfATaskCountOnlyWhileItIsOnACpu) {
  SmallHost host{2, 1};
  const EventId event = host.start({.config = kBranches, .pinned = true}, task(1));
  EXPECT_EQ(host.perf->state(event), EventState::kInactive) << "vCPU 0 is on the CPU";
  EXPECT_EQ(host.perf->cpu(event), kNoHostCpu);
  host.perf->switch_in(kSecond, kCpu);
  EXPECT_EQ(host.perf->state(event), EventState::kActive);
  EXPECT_EQ(host.perf->cpu(event), kCpu);
  host.retire(1, 10);
  host.perf->switch_in(kFirst, kCpu);
  EXPECT_EQ(host.perf->state(event), EventState::kInactive);
  host.retire(0, 100);
  EXPECT_EQ(host.value(event), 10u);
  EXPECT_EQ(host.enabled_ns(event), 10u);
}

TEST(HostCpus, PinnedEventsGoIntoErrorWhenTheirTaskComesToAFullPmu) {
  SmallHost host{2, 1};
  const EventId waiting = host.start({.config = kBranches, .pinned = true}, task(1));
  host.start({.config = kBranches, .pinned = true}, cpu(0));
  host.start({.config = kBranches, .pinned = true}, cpu(0));
  EXPECT_EQ(host.perf->state(waiting), EventState::kInactive);
  host.perf->switch_in(kSecond, kCpu);
  EXPECT_EQ(host.perf->state(waiting), EventState::kError);
}

TEST(HostCpus, ATaskTakesItsEventsAlongToAnotherCpu) {
  SmallHost host{1, 2};
  const EventId event = host.start({.config = kBranches, .pinned = true}, task(0));
  host.retire(0, 3);
  host.perf->switch_in(kFirst, HostCpu{1});
  EXPECT_EQ(host.perf->cpu(event), HostCpu{1});
  host.retire(0, 4);
  EXPECT_EQ(host.value(event), 7u);
  host.perf->switch_out(kFirst);
  EXPECT_EQ(host.perf->cpu(event), kNoHostCpu);
}

TEST(HostCpus, EventsOfACpuCountWhoeverIsOnIt) {
  SmallHost host{3, 2};
  const EventId event = host.start({.config = kBranches}, cpu(0));
  host.retire(0, 1);
  host.retire(1, 10);  // on the other CPU
  host.perf->switch_in(VcpuIndex{2}, kCpu);
  host.retire(2, 100);
  host.perf->switch_out(VcpuIndex{2});
  EXPECT_EQ(host.perf->state(event), EventState::kActive) << "it does not need anybody";
  host.perf->switch_in(kFirst, kCpu);
  host.retire(0, 1'000);
  EXPECT_EQ(host.value(event), 1'101u);
}

TEST(HostCpus, EventsOfACpuOverflowAcrossTasks) {
  SmallHost host{2, 1};
  const EventId event = host.start({.config = kBranches, .period = 10, .cookie = 7}, cpu(0));
  host.retire(0, 6);
  host.perf->switch_in(kSecond, kCpu);
  EXPECT_FALSE(host.vcpus[0].deadlines.any());
  host.retire(1, 3);
  EXPECT_TRUE(host.handler.calls.empty());
  host.retire(1, 1);
  ASSERT_EQ(host.handler.calls.size(), 1u);
  EXPECT_EQ(host.handler.calls[0], (std::pair<EventId, std::uint64_t>{event, 7}));
}

TEST(HostCpus, EventsOfACpuStayPausedAcrossTasks) {
  SmallHost host{2, 1};
  const EventId event = host.start({.config = kBranches, .period = 10}, cpu(0));
  host.perf->pause(event);
  host.perf->switch_in(kSecond, kCpu);
  host.retire(1, 50);
  EXPECT_EQ(host.value(event), 0u);
  host.perf->resume(event);
  host.retire(1, 9);
  host.perf->switch_in(kFirst, kCpu);
  EXPECT_EQ(host.value(event), 9u);
}

TEST(HostCpus, EventsOfACpuExcludeAsTheySay) {
  struct Case {
    EventAttr attr;
    std::uint64_t expected;
  };
  const Case cases[] = {
      {{.config = kBranches}, 11},
      {{.config = kBranches, .exclude_user = true}, 10},
      {{.config = kBranches, .exclude_kernel = true}, 1},
      {{.config = kBranches, .exclude_host = true}, 11},
      {{.config = kBranches, .exclude_guest = true}, 0},  // and the host itself retires nothing
  };
  for (const Case& expected : cases) {
    SmallHost host{1, 1};
    const EventId event = host.start(expected.attr, cpu(0));
    host.retire(0, 1, Privilege::kUser);
    host.retire(0, 10, Privilege::kKernel);
    EXPECT_EQ(host.value(event), expected.expected);
  }
}

TEST(HostCpus, TimesOfCpuEventsAreMachineTime) {
  SmallHost host{2, 2};
  const EventId of_cpu = host.start({.config = kBranches}, cpu(0));
  const EventId of_task = host.start({.config = kBranches}, task(0));
  host.retire(0, 5);
  host.retire(1, 100);  // elsewhere
  EXPECT_EQ(host.enabled_ns(of_cpu), 105u);
  EXPECT_EQ(host.running_ns(of_cpu), 105u);
  EXPECT_EQ(host.enabled_ns(of_task), 5u);
}

TEST(HostCpus, MachineTimeIsTheClocksIfThereIsOne) {
  struct Clock final : HostClock {
    std::uint64_t time = 1'000;
    [[nodiscard]] std::uint64_t machine_time() const override { return time; }
  } clock;
  const auto model = small_model();
  silicon::RetireTotals totals;
  silicon::Deadlines deadlines{totals};
  const std::array vcpus{ModelledVcpu{&totals, &deadlines}};
  Handler handler;
  ModelledHostPerf perf{model, vcpus, {.clock = &clock}};
  const EventId event = perf.open({.config = kBranches}, cpu(0), handler).value();
  perf.enable(event);
  clock.time += 77;
  EXPECT_EQ(perf.read(event).value().time_enabled_ns, 77u);
}

// ---- Handlers inside calls ----------------------------------------------------------------------

/// A CPU that reaches a boundary with an overflow while it hands over.
class OverflowingSource final : public silicon::RetireSource {
 public:
  explicit OverflowingSource(SmallHost::Vcpu& vcpu) : vcpu_{vcpu} { vcpu.totals.set_source(this); }
  ~OverflowingSource() { vcpu_.totals.set_source(nullptr); }
  OverflowingSource(const OverflowingSource&) = delete;
  OverflowingSource& operator=(const OverflowingSource&) = delete;

  void hand_over() override {
    const std::uint64_t count = std::exchange(held, 0);
    if (count == 0) return;
    vcpu_.totals.add(RawEvent::kBranches, Privilege::kUser, count);
    vcpu_.deadlines.fire_due();
  }
  std::uint64_t held = 0;

 private:
  SmallHost::Vcpu& vcpu_;
};

using Call = std::function<void(ModelledHostPerf&, EventId)>;
struct NamedCall {
  const char* name;
  Call call;
};
const std::vector<NamedCall>& calls() {
  static const std::vector<NamedCall> kCalls{
      {"close", [](auto& perf, EventId event) { perf.close(event); }},
      {"enable", [](auto& perf, EventId event) { perf.enable(event); }},
      {"disable", [](auto& perf, EventId event) { perf.disable(event); }},
      {"pause", [](auto& perf, EventId event) { perf.pause(event); }},
      {"resume", [](auto& perf, EventId event) { perf.resume(event); }},
      {"read", [](auto& perf, EventId event) { perf.read(event); }},
      {"set_period", [](auto& perf, EventId event) { perf.set_period(event, 20); }},
  };
  return kCalls;
}

TEST(HostCpus, HandlersInsideACallActAsIfTheyHadRunBeforeIt) {
  for (const bool of_cpu : {false, true}) {
    for (const NamedCall& outer : calls()) {
      for (const NamedCall& inner : calls()) {
        const std::string what = std::string{inner.name} + " inside " + outer.name;
        const Target target = of_cpu ? cpu(0) : task(0);
        const EventAttr attr{.config = kBranches, .period = 10};
        // Once with the handler inside the call, once before it: the same must come of both.
        const auto outcome = [&](bool inside) {
          SmallHost host{1, 1};
          OverflowingSource source{host.vcpus[0]};
          const EventId event = host.start(attr, target);
          bool open = true;
          host.handler.reaction = [&](EventId overflowed) {
            EXPECT_EQ(overflowed, event) << what;
            inner.call(*host.perf, overflowed);
            if (inner.name == std::string{"close"}) open = false;
          };
          source.held = 10;
          if (!inside) source.hand_over();
          if (open) outer.call(*host.perf, event);
          if (outer.name == std::string{"close"}) open = false;
          EXPECT_EQ(host.handler.calls.size(), 1u) << what;
          host.handler.reaction = nullptr;
          if (!open) {
            EXPECT_FALSE(host.vcpus[0].deadlines.any()) << what;
            EXPECT_EQ(host.open(attr, target), event) << what;
            EXPECT_EQ(host.perf->state(event), EventState::kOff) << what;
            return std::vector<std::uint64_t>{};
          }
          source.held = 10;
          source.hand_over();
          return std::vector<std::uint64_t>{static_cast<std::uint64_t>(host.perf->state(event)),
                                            host.value(event), host.handler.calls.size()};
        };
        EXPECT_EQ(outcome(true), outcome(false)) << what;
      }
    }
  }
}

TEST(HostCpus, HandlersInsideACallMayCloseOtherEvents) {
  for (const NamedCall& outer : calls()) {
    SmallHost host{1, 1};
    OverflowingSource source{host.vcpus[0]};
    const EventId overflowing = host.start({.config = kBranches, .period = 10}, cpu(0));
    const EventId called = host.start({.config = kBranches}, task(0));
    const EventId waiting = host.start({.config = kBranches}, task(0));
    host.handler.reaction = [&](EventId) {
      host.perf->close(overflowing);
      host.perf->close(called);
    };
    source.held = 10;
    outer.call(*host.perf, called);
    EXPECT_EQ(host.perf->state(waiting), EventState::kActive) << outer.name;
    EXPECT_FALSE(host.vcpus[0].deadlines.any());
  }
}

TEST(HostCpus, HandlersMayRunWhileTasksAreSwitched) {
  SmallHost host{2, 1};
  OverflowingSource source{host.vcpus[0]};
  const EventId event = host.start({.config = kBranches, .period = 10}, task(0));
  const EventId of_cpu = host.start({.config = kBranches, .period = 10}, cpu(0));
  host.handler.reaction = [&](EventId overflowed) { host.perf->close(overflowed); };
  source.held = 10;
  host.perf->switch_in(kSecond, kCpu);
  EXPECT_EQ(host.handler.calls.size(), 2u);
  EXPECT_FALSE(host.vcpus[0].deadlines.any());
  EXPECT_FALSE(host.vcpus[1].deadlines.any());
  EXPECT_EQ(host.open({.config = kBranches}, task(0)), event);
  EXPECT_EQ(host.open({.config = kBranches}, cpu(0)), of_cpu);
}

// ---- Snapshots ----------------------------------------------------------------------------------

TEST(HostCpus, SnapshotGoesOnWhereItWasTaken) {
  const auto open_all = [](SmallHost& host) {
    std::vector<EventId> events;
    for (int n = 0; n < 5; ++n) {
      events.push_back(host.start({.config = kBranches, .period = 700}, cpu(0)));
    }
    return events;
  };
  const auto go_on = [](SmallHost& host, int steps) {
    for (int n = 0; n < steps; ++n) {
      host.perf->tick(kCpu);
      host.retire(1, 333);
    }
  };
  SmallHost original{2, 1};
  const auto events = open_all(original);
  original.perf->switch_in(kSecond, kCpu);
  go_on(original, 37);

  const HostCpuState state = original.perf->save(kCpu);
  SmallHost restored{2, 1};
  const auto again = open_all(restored);
  restored.retire(1, 37 * 333);  // the totals of the snapshot, which also are its time
  restored.perf->restore(kCpu, state);
  for (std::size_t n = 0; n < events.size(); ++n) {
    restored.perf->set_past(again[n], original.perf->past(events[n]));
  }
  const std::size_t calls = original.handler.calls.size();
  const std::size_t calls_again = restored.handler.calls.size();
  go_on(original, 50);
  go_on(restored, 50);
  for (std::size_t n = 0; n < events.size(); ++n) {
    EXPECT_EQ(restored.perf->past(again[n]), original.perf->past(events[n])) << n;
  }
  EXPECT_EQ(restored.handler.calls.size() - calls_again, original.handler.calls.size() - calls);
}

}  // namespace
}  // namespace vpmu::hostperf
