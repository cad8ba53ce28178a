// SPDX-License-Identifier: MIT
#include "machine/host_activity.hpp"

#include <cstring>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "unit/machine/machine_fixture.hpp"

namespace vpmu::test {
namespace {

using hostperf::EventState;
using machine::HostActivity;
using machine::HostEvent;
using machine::HostEventProgress;
using virt::x86::CounterStatus;
using virt::x86::gp_counter;

constexpr std::uint64_t kBranches = 0x00c4;
constexpr std::uint64_t kInstructions = 0x00c0;

HostEvent pinned(std::uint64_t event) {
  return {"pinned", {.config = event, .pinned = true}};
}
HostEvent flexible(std::uint64_t event, std::uint64_t period = 0) {
  return {"flexible", {.config = event, .period = period}};
}

/// Starts PMC0 on branches, user and kernel.
Code count_branches() {
  return wrmsr(0x186, 0x4300c4) + wrmsr(0x38f, 1);
}

/// All vCPUs run forever(): an IPI to all others, INIT and then SIPI to a page of code below 1 MiB.
Code start_the_others() {
  const Code to_page = {0xbf, 0x00, 0x10, 0x00, 0x00,         // mov edi, 0x1000
                        0x66, 0xc7, 0x07, 0xeb, 0xfe};        // mov word [rdi], jmp $
  return to_page + wrmsr(0x1b, 0xfee00d00) +                  // x2APIC
         wrmsr(0x80f, 0x1ff) +                                // software enable
         wrmsr(0x830, 0x000c4500) + wrmsr(0x830, 0x000c4601)  // INIT, SIPI to page 1
         + forever();
}

class HostActivityTest : public MachineTest {
 protected:
  [[nodiscard]] HostActivity::Reading read(std::size_t event, unsigned cpu = 0) const {
    return machine->host_activity().read(event, cpu);
  }
  std::vector<HostActivity::Reading> readings() {
    std::vector<HostActivity::Reading> all;
    for (std::size_t event = 0; event < config.host_events.size(); ++event) {
      for (unsigned cpu = 0; cpu < machine->host_activity().cpus(); ++cpu) {
        if (machine->host_activity().is_on(event, cpu)) all.push_back(read(event, cpu));
      }
    }
    return all;
  }
  /// Into a machine that has not run.
  void move() {
    const machine::MachineState state = machine->save();
    const auto from = std::move(machine);
    auto created = machine::Machine::create(config, console);
    ASSERT_TRUE(created.has_value());
    machine = std::move(*created);
    std::memcpy(machine->board().memory.host(0, config.memory_bytes),
                from->board().memory.host(0, config.memory_bytes), config.memory_bytes);
    const auto restored = machine->restore(state);
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
  }
  /// Instructions after which machine time is first at or behind `cycle`, and that time; of a
  /// machine of one vCPU that has run `code` for less.
  struct Boundary {
    std::uint64_t instructions;
    std::uint64_t cycle;
  };
  Boundary first_boundary(const Code& code, std::uint64_t cycle) {
    const auto events = std::exchange(config.host_events, {});
    load(code);
    while (machine->now() < cycle) machine->run({.pause_at = machine->instructions() + 1});
    config.host_events = events;
    return {machine->instructions(), machine->now()};
  }
  /// What create() says of it has `part` in it.
  void expect_refusal(HostEvent event, const std::string& part) {
    config.host_events = {std::move(event)};
    const auto created = machine::Machine::create(config, console);
    ASSERT_FALSE(created.has_value()) << part;
    EXPECT_NE(created.error().message.find(part), std::string::npos) << created.error().message;
  }
};

bool same(const HostActivity::Reading& left, const HostActivity::Reading& right) {
  return left.count.value == right.count.value && left.overflows == right.overflows &&
         left.count.time_enabled_ns == right.count.time_enabled_ns &&
         left.count.time_running_ns == right.count.time_running_ns && left.state == right.state &&
         static_cast<const HostEventProgress&>(left) == right;
}

TEST_F(HostActivityTest, CountsWhatRunsOnEachHostCpu) {
  config.vcpus = 3;
  config.host_cpus = 2;
  config.host_events = {pinned(kInstructions)};
  run(start_the_others(), {.instructions = 500'000});
  std::vector<std::uint64_t> instructions;
  for (const auto& vcpu : machine->vcpus()) instructions.push_back(vcpu->instructions());
  EXPECT_GT(instructions[1], 0u);
  EXPECT_GT(instructions[2], 0u);
  EXPECT_EQ(read(0, 0).count.value, instructions[0] + instructions[2]);
  EXPECT_EQ(read(0, 1).count.value, instructions[1]);
}

TEST_F(HostActivityTest, ItsTimeIsMachineTime) {
  config.vcpus = 2;
  config.host_events = {pinned(kInstructions)};
  run(forever(), {.instructions = 100'000});
  const std::uint64_t ns = machine->now() * 1'000'000'000 / config.model->hz;
  for (const unsigned cpu : {0u, 1u}) {
    EXPECT_EQ(read(0, cpu).count.time_enabled_ns, ns);
    EXPECT_EQ(read(0, cpu).count.time_running_ns, ns);
  }
}

TEST_F(HostActivityTest, FlexibleEventsShareWhatIsThere) {
  for (int n = 0; n < 12; ++n) config.host_events.push_back(flexible(kBranches));
  run(forever(), {.instructions = 100'000'000});
  for (const HostActivity::Reading& reading : readings()) {
    EXPECT_GT(reading.count.time_running_ns, 0u);
    EXPECT_LT(reading.count.time_running_ns, reading.count.time_enabled_ns);
  }
}

TEST_F(HostActivityTest, OverflowsAreCounted) {
  config.host_events = {{"sampled", {.config = kInstructions, .period = 1'000, .pinned = true}}};
  run(forever(), {.instructions = 10'500});
  EXPECT_EQ(read(0).overflows, 10u);
}

TEST_F(HostActivityTest, PinnedEventsStarveTheGuest) {
  for (int n = 0; n < config.model->pmu.gp_counters; ++n) {
    config.host_events.push_back(pinned(kBranches));
  }
  run(count_branches() + forever(), {.instructions = 50'000});
  for (const HostActivity::Reading& reading : readings()) {
    EXPECT_EQ(reading.state, EventState::kActive);
  }
  EXPECT_EQ(machine->vcpus()[0]->pmu().status(gp_counter(0)), CounterStatus::kStarved);
}

TEST_F(HostActivityTest, FlexibleEventsDoNotStarveTheGuest) {
  for (int n = 0; n < config.model->pmu.gp_counters; ++n) {
    config.host_events.push_back(flexible(kBranches));
  }
  run(count_branches() + forever(), {.instructions = 50'000});
  EXPECT_EQ(machine->vcpus()[0]->pmu().status(gp_counter(0)), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, StarvedGuestCounterComesBackWhenTheHostLetsGo) {
  load(count_branches() + forever());
  std::optional<HostActivity> profiler{std::in_place, machine->host_perf(), machine->board().clock};
  const std::vector<HostEvent> all(config.model->pmu.gp_counters, pinned(kBranches));
  machine->run({.instructions = 20'000});
  const auto status = [this] { return machine->vcpus()[0]->pmu().status(gp_counter(0)); };
  EXPECT_EQ(status(), CounterStatus::kCounting);
  ASSERT_TRUE(profiler->open(all).has_value());
  machine->run({.instructions = 60'000});
  EXPECT_EQ(status(), CounterStatus::kStarved);
  profiler.reset();
  machine->run({.instructions = 100'000});
  EXPECT_EQ(status(), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, WhatCannotBeOpenedIsAnErrorWithTheEventsName) {
  config.host_events = {{"no such thing", {.config = 0xff}}};
  const auto created = machine::Machine::create(config, console);
  ASSERT_FALSE(created.has_value());
  EXPECT_NE(created.error().message.find("'no such thing'"), std::string::npos);
  config.host_events.assign(17, flexible(kBranches));
  EXPECT_FALSE(machine::Machine::create(config, console).has_value());
  config.host_events.clear();
  config.host_cpus = 65;
  EXPECT_FALSE(machine::Machine::create(config, console).has_value());
}

TEST_F(HostActivityTest, GuestRunsTheSameWhateverTheHostCounts) {
  config.vcpus = 3;
  run(start_the_others(), {.instructions = 1'000'000});
  const std::uint64_t cycles = machine->now();
  config.host_cpus = 1;
  config.host_events.assign(12, flexible(kBranches, 777));
  run(start_the_others(), {.instructions = 1'000'000});
  EXPECT_EQ(machine->now(), cycles);
}

TEST_F(HostActivityTest, TheSameRunTwiceIsTheSameAlsoFromASnapshot) {
  config.vcpus = 3;
  config.host_cpus = 2;
  config.host_events.assign(11, flexible(kBranches, 3'333));
  config.host_events.push_back(pinned(kInstructions));
  constexpr machine::RunLimits kEnd{.instructions = 30'000'000};
  run(start_the_others(), kEnd);
  const auto expected = readings();
  run(start_the_others(), kEnd);
  const auto again = readings();

  load(start_the_others());
  machine->run({.instructions = kEnd.instructions, .pause_at = 12'345'678});
  ASSERT_NO_FATAL_FAILURE(move());
  machine->run(kEnd);
  const auto restored = readings();
  ASSERT_EQ(again.size(), expected.size());
  for (std::size_t n = 0; n < expected.size(); ++n) {
    EXPECT_TRUE(same(again[n], expected[n])) << n;
    EXPECT_TRUE(same(restored[n], expected[n])) << n;
  }
}

// ---- At times, on CPUs --------------------------------------------------------------------------

/// A loop whose instructions take different times.
Code uneven_loop() {
  return {0x48, 0xf7, 0xf3,        // div rbx
          0x48, 0x31, 0xd2,        // xor rdx, rdx
          0x48, 0x0f, 0xaf, 0xc1,  // imul rax, rcx
          0xeb, 0xf4};             // jmp to the beginning
}
Code run_uneven_loop() {
  return Code{0x48, 0xc7, 0xc3, 0x03, 0x00, 0x00, 0x00,  // mov rbx, 3
              0x48, 0x31, 0xd2} +                        // xor rdx, rdx
         uneven_loop();
}

TEST_F(HostActivityTest, CountsFromTheFirstBoundaryAtOrAfterItsTimeToThatOfItsEnd) {
  for (const std::uint64_t at : {1'000u, 1'001u, 1'002u, 1'003u, 54'321u}) {
    const std::uint64_t until = at + 12'345;
    const Boundary begin = first_boundary(run_uneven_loop(), at);
    const Boundary end = first_boundary(run_uneven_loop(), until);
    config.host_events = {pinned(kInstructions)};
    config.host_events[0].at = at;
    config.host_events[0].until = until;
    run(run_uneven_loop(), {.instructions = 200'000});
    const HostActivity::Reading reading = read(0);
    EXPECT_EQ(reading.began, begin.cycle);
    EXPECT_EQ(reading.ended, end.cycle);
    EXPECT_EQ(reading.count.value, end.instructions - begin.instructions);
    EXPECT_EQ(reading.state, EventState::kOff);
    EXPECT_EQ(reading.count.time_enabled_ns,
              (end.cycle - begin.cycle) * 1'000'000'000 / config.model->hz);
  }
}

TEST_F(HostActivityTest, IsOffBeforeItsTimeAndOnWithoutAnEnd) {
  config.host_events = {pinned(kInstructions)};
  config.host_events[0].at = 50'000;
  load(forever());
  machine->run({.pause_at = 10});
  EXPECT_EQ(read(0).state, EventState::kOff);
  EXPECT_EQ(read(0).times, 0u);
  machine->run({.instructions = 200'000});
  EXPECT_EQ(read(0).state, EventState::kActive);
  EXPECT_EQ(read(0).times, 1u);
  EXPECT_GT(machine->now(), 50'000u);
}

TEST_F(HostActivityTest, HappensWhileEverybodyIsHalted) {
  config.host_events = {pinned(kInstructions)};
  config.host_events[0].at = 123'456;
  config.host_events[0].until = 654'321;
  EXPECT_EQ(run(halt()).reason, machine::Outcome::Reason::kHalted);
  EXPECT_EQ(read(0).began, 123'456u);
  EXPECT_EQ(read(0).ended, 654'321u);
}

TEST_F(HostActivityTest, IsOnTheCpusThatItIsGiven) {
  config.vcpus = 3;
  config.host_events = {pinned(kInstructions)};
  config.host_events[0].cpus = 0b101;
  run(start_the_others(), {.instructions = 100'000});
  const HostActivity& activity = machine->host_activity();
  EXPECT_TRUE(activity.is_on(0, 0));
  EXPECT_FALSE(activity.is_on(0, 1));
  EXPECT_EQ(read(0, 0).count.value, machine->vcpus()[0]->instructions());
  EXPECT_EQ(read(0, 2).count.value, machine->vcpus()[2]->instructions());
}

TEST_F(HostActivityTest, WhatEndsGivesItsCounterToWhatBeginsAtTheSameTime) {
  const unsigned counters = config.model->pmu.gp_counters;
  config.host_events.assign(2 * std::size_t{counters}, pinned(kBranches));
  for (unsigned n = 0; n < counters; ++n) {
    config.host_events[n].at = 20'000;  // given first, so that order alone would not do
    config.host_events[counters + n].until = 20'000;
  }
  run(forever(), {.instructions = 100'000});
  for (unsigned n = 0; n < counters; ++n) {
    EXPECT_EQ(read(n).state, EventState::kActive) << n;
    EXPECT_EQ(read(counters + n).state, EventState::kOff) << n;
  }
}

TEST_F(HostActivityTest, ComesAgainEverySoManyCycles) {
  config.host_events = {pinned(kInstructions)};
  config.host_events[0].at = 10'000;
  config.host_events[0].until = 13'000;
  config.host_events[0].every = 20'000;
  load(forever());
  std::uint64_t counted = 0;
  for (std::uint64_t round = 0; round < 5; ++round) {
    const Boundary begin = first_boundary(forever(), 10'000 + 20'000 * round);
    const Boundary end = first_boundary(forever(), 13'000 + 20'000 * round);
    counted += end.instructions - begin.instructions;
  }
  run(forever(), {.instructions = first_boundary(forever(), 100'000).instructions});
  EXPECT_EQ(read(0).times, 5u);
  EXPECT_EQ(read(0).count.value, counted);
}

TEST_F(HostActivityTest, TakesTheGuestsCountersForItsTimeOnly) {
  config.host_events.assign(config.model->pmu.gp_counters, pinned(kBranches));
  for (HostEvent& event : config.host_events) {
    event.at = 100'000;
    event.until = 300'000;
  }
  load(count_branches() + forever());
  const auto status_at = [this](std::uint64_t cycle) {
    while (machine->now() < cycle) machine->run({.pause_at = machine->instructions() + 1'000});
    return machine->vcpus()[0]->pmu().status(gp_counter(0));
  };
  EXPECT_EQ(status_at(90'000), CounterStatus::kCounting);
  EXPECT_EQ(status_at(110'000), CounterStatus::kStarved);
  EXPECT_EQ(status_at(290'000), CounterStatus::kStarved);
  EXPECT_EQ(status_at(400'000), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, MovedGuestKeepsTheCounterThatTheHostHasLetGo) {
  config.host_events.assign(config.model->pmu.gp_counters, pinned(kBranches));
  for (HostEvent& event : config.host_events) event.until = 100'000;
  load(count_branches() + forever());
  while (machine->now() < 300'000) machine->run({.pause_at = machine->instructions() + 1'000});
  const auto status = [this] { return machine->vcpus()[0]->pmu().status(gp_counter(0)); };
  ASSERT_EQ(status(), CounterStatus::kCounting);
  ASSERT_NO_FATAL_FAILURE(move());
  EXPECT_EQ(status(), CounterStatus::kCounting);
  machine->run({.pause_at = machine->instructions() + 1});
  EXPECT_EQ(status(), CounterStatus::kCounting);
}

TEST_F(HostActivityTest, MovedAtAnyPointOfItsScheduleItGoesOnTheSame) {
  config.vcpus = 2;
  const unsigned counters = config.model->pmu.gp_counters;
  for (unsigned n = 0; n < counters; ++n) {
    config.host_events.push_back(pinned(kBranches));
    config.host_events.back().until = 60'000;
  }
  HostEvent late = pinned(kBranches);  // finds no counter, and is in error to its end
  late.at = 30'000;
  late.until = 120'000;
  HostEvent again = flexible(kInstructions, 777);
  again.at = 10'000;
  again.until = 25'000;
  again.every = 40'000;
  again.cpus = 0b10;
  config.host_events.insert(config.host_events.end(), {late, again});
  constexpr machine::RunLimits kEnd{.instructions = 200'000};
  run(start_the_others(), kEnd);
  const auto expected = readings();
  const std::uint64_t end = machine->now();
  load(start_the_others());
  bool was_in_error = false;
  for (std::uint64_t at = 5'000; at < 200'000; at += 7'777) {
    machine->run({.instructions = kEnd.instructions, .pause_at = at});
    const auto before = readings();
    ASSERT_NO_FATAL_FAILURE(move());
    const auto behind = readings();
    for (std::size_t n = 0; n < before.size(); ++n) EXPECT_TRUE(same(before[n], behind[n])) << n;
    was_in_error |= machine->now() > 60'000 && read(counters).state == EventState::kError;
  }
  EXPECT_TRUE(was_in_error);
  machine->run(kEnd);
  EXPECT_EQ(machine->now(), end);
  const auto moved = readings();
  ASSERT_EQ(moved.size(), expected.size());
  for (std::size_t n = 0; n < expected.size(); ++n) EXPECT_TRUE(same(moved[n], expected[n])) << n;
}

TEST_F(HostActivityTest, StateThatNoHostCouldHaveIsRefused) {
  config.vcpus = 2;
  config.host_events = {pinned(kBranches), flexible(kBranches)};
  config.host_events[0].cpus = 1;
  config.host_events[0].every = 2'000;
  config.host_events[0].until = 1'000;
  run(forever(), {.instructions = 10'000'000});
  const auto state = machine->save();
  const auto refused = [&](auto change) {
    machine::MachineState changed = state;
    change(changed.host);
    auto created = machine::Machine::create(config, console);
    return created.has_value() && !(*created)->restore(changed).has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& host) { host.cpus.pop_back(); }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[0].events.pop_back(); }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[0].vcpu = 2; }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[0].events[1].on = false; }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[0].events[1].error = true; }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[1].events[0].on = true; }));
  EXPECT_TRUE(refused([](auto& host) { host.cpus[0].events[0].next = 1; }));
}

TEST_F(HostActivityTest, WhatCannotBeSaysWhy) {
  const auto with = [](auto change) {
    HostEvent event = pinned(kBranches);
    change(event);
    return event;
  };
  config.vcpus = 2;
  expect_refusal(with([](auto& event) { event.cpus = 0; }), "no host CPU");
  expect_refusal(with([](auto& event) { event.cpus = 0b111; }), "no host CPU 2");
  expect_refusal(with([](auto& event) { event.at = event.until = 5; }), "ends before it begins");
  expect_refusal(with([](auto& event) {
                   event.until = 500;
                   event.every = 999;
                 }),
                 "less than 1000 cycles");
  expect_refusal(with([](auto& event) {
                   event.until = 2'000;
                   event.every = 2'000;
                 }),
                 "before it has ended");
  expect_refusal(with([](auto& event) { event.every = 2'000; }), "before it has ended");
  expect_refusal(with([](auto& event) { event.branches.count = 1; }), "leave no trace");
  expect_refusal(with([](auto& event) { event.branches.count = 1001; }), "at most 1000");
}

// ---- Last branch records ------------------------------------------------------------------------

constexpr std::uint64_t kHostFrom = 0xffff'ffff'8123'4560;
constexpr std::uint64_t kHostTo = 0xffff'ffff'8abc'def0;

class HostBranchesTest : public HostActivityTest, private hostperf::OverflowHandler {
 protected:
  static constexpr hostperf::EventAttr kGuestLbr{.config = hostperf::kGuestLbrEvent,
                                                 .pinned = true,
                                                 .exclude_host = true,
                                                 .branch_type = hostperf::kGuestLbrBranchType};
  static HostEvent branching(std::uint32_t branch_type, bool is_pinned = true) {
    HostEvent event{"profiler", {.config = kInstructions, .pinned = is_pinned}};
    event.attr.branch_type = branch_type;
    event.at = 10'000;
    event.until = 20'000;
    event.branches = {40, kHostFrom, kHostTo};
    return event;
  }
  static HostEvent trace() {
    HostEvent event{"trace", {}};
    event.trace = true;
    event.at = 10'000;
    event.until = 20'000;
    return event;
  }
  /// With a guest's LBR event on it, that is enabled.
  hostperf::EventId load_with_guest_lbr() {
    load(forever());
    const auto id =
        machine->host_perf().open(kGuestLbr, hostperf::Target::of(hostperf::VcpuIndex{0}), *this);
    EXPECT_TRUE(id.has_value());
    if (id) machine->host_perf().enable(*id);
    return id.value_or(hostperf::kNoEvent);
  }
  void run_to(std::uint64_t cycle) {
    while (machine->now() < cycle) machine->run({.pause_at = machine->instructions() + 1});
  }
  /// Records of the host's own in host CPU 0's unit.
  [[nodiscard]] unsigned host_records() const {
    const auto* unit = machine->host_perf().lbr_unit(hostperf::HostCpu{0});
    unsigned count = 0;
    for (unsigned age = 0; age < unit->depth(); ++age) {
      count += unit->newest(age).from == kHostFrom && unit->newest(age).to == kHostTo ? 1 : 0;
    }
    return count;
  }
  [[nodiscard]] unsigned depth() const { return config.model->lbr.depth; }

 private:
  void on_overflow(hostperf::EventId, std::uint64_t) override {}
};

TEST_F(HostBranchesTest, AreInTheUnitWhileTheHostHasIt) {
  for (const std::uint32_t type :
       {hostperf::kBranchAny, hostperf::kBranchAny | hostperf::kBranchUser,
        hostperf::kBranchAnyCall | hostperf::kBranchKernel, hostperf::kBranchIndirectJump,
        hostperf::kBranchConditional, hostperf::kBranchCallStack}) {
    config.host_events = {branching(type)};
    load(forever());
    run_to(10'000);
    EXPECT_EQ(host_records(), depth()) << type;
    EXPECT_EQ(read(0).retired_branches, 40u) << type;
    run_to(20'000);
    EXPECT_EQ(read(0).retired_branches, 80u) << type;
  }
}

TEST_F(HostBranchesTest, ReturnsAreRecordedAsReturns) {
  config.host_events = {branching(hostperf::kBranchAnyReturn)};
  load(forever());
  run_to(10'000);
  EXPECT_EQ(host_records(), depth());
}

TEST_F(HostBranchesTest, AreNowhereWhileTheGuestKeepsTheUnit) {
  config.host_events = {branching(hostperf::kBranchAny, false)};
  const hostperf::EventId guest = load_with_guest_lbr();
  for (const std::uint64_t cycle : {10'000u, 15'000u, 21'000u}) {
    run_to(cycle);
    EXPECT_EQ(machine->host_perf().state(guest), EventState::kActive);
    EXPECT_EQ(host_records(), 0u);
  }
  EXPECT_EQ(read(0).retired_branches, 0u);
}

TEST_F(HostBranchesTest, PinnedEventTakesTheUnitFromTheGuestAndLeavesNothingBehind) {
  config.host_events = {branching(hostperf::kBranchAny)};
  const hostperf::EventId guest = load_with_guest_lbr();
  run_to(9'000);
  EXPECT_EQ(machine->host_perf().state(guest), EventState::kActive);
  run_to(10'000);
  EXPECT_EQ(machine->host_perf().state(guest), EventState::kError);
  EXPECT_EQ(read(0).state, EventState::kActive);
  EXPECT_GT(host_records(), 0u);
  run_to(20'000);
  machine->host_perf().enable(guest);
  EXPECT_EQ(machine->host_perf().state(guest), EventState::kActive);
  EXPECT_EQ(host_records(), 0u);
}

TEST_F(HostBranchesTest, TraceKeepsEverybodyFromTheUnitForItsTime) {
  config.host_events = {trace(), trace()};
  config.host_events[1].at = 15'000;  // the second one goes on when the first one ends
  config.host_events[1].until = 30'000;
  const hostperf::EventId guest = load_with_guest_lbr();
  const auto tries = [&](std::uint64_t cycle) {
    run_to(cycle);
    machine->host_perf().enable(guest);
    return machine->host_perf().state(guest);
  };
  EXPECT_EQ(tries(9'000), EventState::kActive);
  EXPECT_EQ(tries(10'000), EventState::kError);
  EXPECT_EQ(read(0).state, EventState::kActive);
  EXPECT_EQ(tries(21'000), EventState::kError);
  EXPECT_EQ(read(0).state, EventState::kOff);
  EXPECT_EQ(tries(30'000), EventState::kActive);
}

TEST_F(HostBranchesTest, EventsThatNeedTheUnitAreOpenedBeforeATraceBegins) {
  HostEvent early = trace();
  early.at = 0;
  config.host_events = {early, branching(hostperf::kBranchAny)};
  config.host_events[1].until = 40'000;
  config.host_events[1].at = 20'000;  // when the trace has ended
  load(forever());
  EXPECT_EQ(read(0).state, EventState::kActive);
  run_to(40'000);
  EXPECT_EQ(read(1).state, EventState::kOff);
  EXPECT_EQ(read(1).retired_branches, 80u);
}

TEST_F(HostBranchesTest, MovedWhileTheyAreThereItGoesOnTheSame) {
  // The guest has no user code: what is sampled is what the host itself did.
  config.host_events = {branching(hostperf::kBranchAny | hostperf::kBranchUser), trace()};
  config.host_events[0].attr.period = 700;
  config.host_events[0].every = 20'000;
  config.host_events[1].at = 34'000;
  config.host_events[1].until = 70'000;
  constexpr machine::RunLimits kEnd{.instructions = 60'000};
  run(forever(), kEnd);
  const auto expected = readings();
  EXPECT_GT(expected[0].sampled_branches, 0u);
  load(forever());
  for (std::uint64_t at = 1'000; at < 60'000; at += 3'333) {
    machine->run({.instructions = kEnd.instructions, .pause_at = at});
    ASSERT_NO_FATAL_FAILURE(move());
  }
  machine->run(kEnd);
  const auto moved = readings();
  for (std::size_t n = 0; n < expected.size(); ++n) EXPECT_TRUE(same(moved[n], expected[n])) << n;
}

TEST_F(HostBranchesTest, ThatNoUnitCouldHoldAreRefused) {
  HostEvent event = branching(hostperf::kBranchAny);
  event.branches.from = 0x8000'0000'0000;
  expect_refusal(event, "canonical");
  event = branching(hostperf::kBranchAny | hostperf::kBranchCallStack);
  expect_refusal(event, "record its branches");
  event = trace();
  event.branches.count = 1;
  expect_refusal(event, "leave no trace");
}

}  // namespace
}  // namespace vpmu::test
