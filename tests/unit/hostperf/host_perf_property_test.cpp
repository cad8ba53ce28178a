// SPDX-License-Identifier: MIT
//
// Random sequences of everything that can be asked of host perf, against what must hold at any
// time, and against counts that are kept by hand.
#include <map>
#include <random>

#include "hostperf/programme.hpp"
#include "unit/hostperf/small_host.hpp"

namespace vpmu::hostperf {
namespace {

constexpr unsigned kVcpus = 3;
constexpr unsigned kCpus = 2;

class Sequence {
 public:
  explicit Sequence(std::uint32_t seed) : random_{seed} {
    for (unsigned n = 0; n < kCpus; ++n) on_[n] = n;
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      one_step();
      check();
      if (testing::Test::HasFailure()) return;
    }
    while (!events_.empty()) close(events_.begin()->first);
    for (const auto& vcpu : host_.vcpus) {
      EXPECT_FALSE(vcpu.deadlines.any());
      for (std::size_t raw = 0; raw < silicon::kRawEventCount; ++raw) {
        EXPECT_FALSE(vcpu.totals.demanded(static_cast<silicon::RawEvent>(raw)));
      }
    }
  }

 private:
  struct Kept {
    EventAttr attr;
    Target target;
    CounterSet counters = 0;
    bool paused = false;
    std::uint64_t value = 0;
    std::uint64_t since = 0;  ///< counted since the last overflow or change of period
    std::uint64_t overflows = 0;
    EventCount last;
  };

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  EventId any() {
    return std::next(events_.begin(),
                     static_cast<std::ptrdiff_t>(below(static_cast<std::uint32_t>(events_.size()))))
        ->first;
  }

  void one_step() {
    const std::uint32_t choice = below(20);
    if (choice < 5) return retire();
    if (choice == 5) return switch_in();
    if (choice == 6) return switch_out();
    if (choice == 7) return host_.perf->tick(static_cast<HostCpu>(below(kCpus)));
    if (events_.size() < 4 || choice < 10) return open();
    const EventId event = any();
    Kept& kept = events_.at(event);
    const bool was_enabled = enabled(event);
    switch (choice) {
      case 10: return close(event);
      case 11:
      case 12:
      case 13:
        host_.perf->enable(event);
        if (!was_enabled) kept.paused = false;
        return;
      case 14:
      case 15:
        host_.perf->disable(event);
        kept.paused = false;
        return;
      case 16:
        host_.perf->pause(event);
        kept.paused = true;
        return;
      case 17:
        host_.perf->resume(event);
        kept.paused = false;
        return;
      default:
        kept.attr.period = below(3) == 0 ? 0 : 1 + below(30);
        kept.since = 0;
        host_.perf->set_period(event, kept.attr.period);
    }
  }

  void open() {
    constexpr std::uint64_t kConfigs[] = {kBranches, kInstructions, kFixedOnly, kLoads, kStores};
    EventAttr attr;
    attr.config = kConfigs[below(5)];
    attr.period = below(2) == 0 ? 0 : 1 + below(30);
    attr.pinned = below(3) == 0;
    attr.exclusive = below(12) == 0;
    attr.exclude_user = below(4) == 0;
    const Target target = below(2) == 0 ? task(below(kVcpus)) : cpu(below(kCpus));
    attr.cookie = ++cookies_;
    const auto event = host_.perf->open(attr, target, host_.handler);
    if (!event) {
      EXPECT_EQ(event.error(), OpenError::kNoSpace);
      return;
    }
    EXPECT_FALSE(events_.contains(*event)) << "an id is not given twice";
    events_[*event] = {.attr = attr,
                       .target = target,
                       .counters = programme(attr, host_.model)->counters,
                       .last = {}};
  }

  void close(EventId event) {
    host_.perf->close(event);
    events_.erase(event);
  }

  void switch_in() {
    const unsigned vcpu = below(kVcpus), to = below(kCpus);
    host_.perf->switch_in(static_cast<VcpuIndex>(vcpu), static_cast<HostCpu>(to));
    for (auto& on : on_) {
      if (on == vcpu) on.reset();
    }
    on_[to] = vcpu;
  }

  void switch_out() {
    const unsigned vcpu = below(kVcpus);
    host_.perf->switch_out(static_cast<VcpuIndex>(vcpu));
    for (auto& on : on_) {
      if (on == vcpu) on.reset();
    }
  }

  /// Of a vCPU that is on a CPU.
  void retire() {
    const auto& on = on_[below(kCpus)];
    if (!on) return;
    const std::uint64_t count = 1 + below(12);
    const bool user = below(2) == 0;
    for (auto& [event, kept] : events_) {
      if (host_.perf->state(event) != EventState::kActive || kept.paused) continue;
      if (vcpu_of(kept) != on || (user && kept.attr.exclude_user)) continue;
      kept.value += count;
      kept.since += count;
      if (kept.attr.period == 0 || kept.since < kept.attr.period) continue;
      ++kept.overflows;
      kept.since %= kept.attr.period;
    }
    const std::size_t before = host_.handler.calls.size();
    host_.retire(*on, count, user ? silicon::Privilege::kUser : silicon::Privilege::kKernel);
    for (std::size_t n = before; n < host_.handler.calls.size(); ++n) {
      Kept& overflowed = events_.at(host_.handler.calls[n].first);
      EXPECT_EQ(overflowed.attr.cookie, host_.handler.calls[n].second);
      EXPECT_GT(overflowed.overflows, 0u) << "an overflow too many";
      --overflowed.overflows;
    }
    for (const auto& [event, kept] : events_) EXPECT_EQ(kept.overflows, 0u) << "one too few";
  }

  [[nodiscard]] bool enabled(EventId event) const {
    const EventState state = host_.perf->state(event);
    return state == EventState::kActive || state == EventState::kInactive;
  }
  /// Whose retiring an event counts now.
  [[nodiscard]] std::optional<unsigned> vcpu_of(const Kept& kept) const {
    return kept.target.kind == Target::Kind::kVcpu ? kept.target.index : on_[kept.target.index];
  }
  /// The CPU for whose counters it competes.
  [[nodiscard]] std::optional<unsigned> cpu_of(const Kept& kept) const {
    if (kept.target.kind == Target::Kind::kHostCpu) return kept.target.index;
    for (unsigned n = 0; n < kCpus; ++n) {
      if (on_[n] == kept.target.index) return n;
    }
    return std::nullopt;
  }

  /// Tries every assignment.
  static bool can_be_assigned(const std::vector<CounterSet>& events, std::size_t first = 0,
                              unsigned used = 0) {
    if (first == events.size()) return true;
    for (unsigned left = events[first] & ~used; left != 0; left &= left - 1) {
      if (can_be_assigned(events, first + 1, used | (left & -left))) return true;
    }
    return false;
  }

  void check() {
    for (unsigned n = 0; n < kCpus; ++n) check_cpu(n);
    for (auto& [event, kept] : events_) {
      if (!cpu_of(kept)) {
        EXPECT_NE(host_.perf->state(event), EventState::kActive);
      }
      const EventCount count = host_.perf->read(event).value();
      EXPECT_EQ(count.value, kept.value);
      EXPECT_GE(count.time_enabled_ns, kept.last.time_enabled_ns);
      EXPECT_GE(count.time_running_ns, kept.last.time_running_ns);
      EXPECT_LE(count.time_running_ns, count.time_enabled_ns);
      kept.last = count;
    }
  }

  void check_cpu(unsigned number) {
    std::vector<CounterSet> active;
    bool exclusive = false;
    for (const auto& [event, kept] : events_) {
      if (cpu_of(kept) != number || host_.perf->state(event) != EventState::kActive) continue;
      EXPECT_EQ(host_.perf->cpu(event), static_cast<HostCpu>(number));
      active.push_back(kept.counters);
      exclusive |= kept.attr.exclusive;
    }
    EXPECT_TRUE(can_be_assigned(active));
    EXPECT_TRUE(!exclusive || active.size() == 1);
    for (const auto& [event, kept] : events_) {
      if (cpu_of(kept) != number || host_.perf->state(event) != EventState::kInactive) continue;
      EXPECT_FALSE(kept.attr.pinned) << "active or in error";
      std::vector<CounterSet> with_it = active;
      with_it.push_back(kept.counters);
      const bool fits =
          can_be_assigned(with_it) && !exclusive && (!kept.attr.exclusive || active.empty());
      EXPECT_FALSE(fits) << "waits for nothing";
    }
  }

  std::mt19937 random_;
  SmallHost host_{kVcpus, kCpus, 50};
  std::array<std::optional<unsigned>, kCpus> on_;
  std::map<EventId, Kept> events_;
  std::uint64_t cookies_ = 0;
};

TEST(HostPerfProperty, HoldsInRandomSequences) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Sequence{seed}.run(1'000);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostPerfProperty, WaitingFlexibleEventsEventuallyRun) {
  constexpr std::uint64_t kConfigs[] = {kBranches, kInstructions, kFixedOnly, kLoads, kStores};
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    SmallHost host{1, 1, 100};
    const Target target = random() % 2 == 0 ? cpu(0) : task(0);
    std::vector<EventId> events;
    const std::size_t number = 2 + random() % 12;
    for (std::size_t n = 0; n < number; ++n) {
      events.push_back(
          host.start({.config = kConfigs[random() % 5], .exclusive = random() % 4 == 0}, target));
    }
    for (std::size_t interval = 0; interval < number; ++interval) {
      host.retire(0, 100);
      host.perf->tick(HostCpu{0});
    }
    host.retire(0, 100);
    for (const EventId event : events) EXPECT_GT(host.value(event), 0u) << "round " << round;
  }
}

}  // namespace
}  // namespace vpmu::hostperf
